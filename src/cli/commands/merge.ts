import { Command } from 'commander'
import { addDeriveOptions, type DeriveFlags, runDerive } from './derive.js'

const examples = `
Examples:
  $ decant export photos/ --teacher resnet.onnx --batch 64 --rows 0:500000 --out part0       # on one machine
  $ decant export photos/ --teacher resnet.onnx --batch 64 --rows 500000:1000000 --out part1 # on another
  $ decant merge part0 part1 --out targets`

export function mergeCommand(): Command {
  const command = new Command('merge')
    .description('join parts of one export, made with --rows, into one soft-target dataset')
    .argument('<dirs...>', 'folders or URIs of the parts, in any order')
  return addDeriveOptions(command)
    .addHelpText('after', examples)
    .action(async (dirs: string[], flags: DeriveFlags) => {
      const { mergeTargets } = await import('../../cache/index.js')
      const { datasetFiles } = await import('../../share/open-dataset.js')
      await runDerive(flags, async (options) =>
        mergeTargets(await Promise.all(dirs.map((dir) => datasetFiles(dir, options))), options),
      )
    })
}
