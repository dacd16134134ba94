import { Command } from 'commander'
import { CODECS, type CodecName } from '../../cache/codecs/codec.js'
import type { EnsembleOptions } from '../../cache/index.js'
import { codec, list, number, oneOf } from '../parse.js'
import { addDeriveOptions, type DeriveFlags, runDerive } from './derive.js'

interface Flags extends DeriveFlags {
  weights?: number[]
  space: NonNullable<EnsembleOptions['space']>
  codec?: CodecName
}

const examples = `
Examples:
  $ decant ensemble resnet vit --out both
  $ decant ensemble resnet vit --weights 1,3 --space probabilities --out both

In the space of logits z = Σ w·z_i; of probabilities z = log Σ w·softmax(z_i). The ids must be the same, in the same order.`

export function ensembleCommand(): Command {
  const command = new Command('ensemble')
    .description('average what several teachers said of the same rows')
    .argument('<dirs...>', 'folders or URIs of soft-target datasets')
    .option('--weights <w...>', 'one a dataset (default: equal)', list(number(0)))
    .option(
      '--space <what>',
      'what is averaged: logits or probabilities',
      oneOf(['logits', 'probabilities'] as const),
      'logits' as const,
    )
    .option('--codec <codec>', `${CODECS} (default: the first one's)`, codec)
  return addDeriveOptions(command)
    .addHelpText('after', examples)
    .action(async (dirs: string[], { weights, space, codec: kept, ...flags }: Flags) => {
      const { ensembleTargets } = await import('../../cache/index.js')
      const { datasetFiles } = await import('../../share/open-dataset.js')
      await runDerive(flags, async (options) =>
        ensembleTargets(await Promise.all(dirs.map((dir) => datasetFiles(dir, options))), {
          ...options,
          space,
          ...(weights && { weights }),
          ...(kept && { codec: kept }),
        }),
      )
    })
}
