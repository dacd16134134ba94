import { Command } from 'commander'
import { CODECS, type CodecName } from '../../cache/codecs/codec.js'
import { codec, number } from '../parse.js'
import { addDeriveOptions, type DeriveFlags, runDerive } from './derive.js'

interface Flags extends DeriveFlags {
  codec: CodecName
  shardMb: number
}

export function convertCommand(): Command {
  const command = new Command('convert')
    .description('write a soft-target dataset in another codec')
    .argument('<dir>', 'folder or URI of a soft-target dataset that keeps all classes')
    .requiredOption('--codec <codec>', CODECS, codec)
    .option('--shard-mb <n>', 'size of a shard in MiB, about', number(0.01, 1900), 128)
  return addDeriveOptions(command)
    .addHelpText('after', '\nExamples:\n  $ decant convert targets --codec topk:16 --out smaller')
    .action(async (dir: string, flags: Flags) => {
      const { convertTargets } = await import('../../cache/index.js')
      const { datasetFiles } = await import('../../share/open-dataset.js')
      const { shardMb } = flags
      await runDerive(flags, async (options) =>
        convertTargets(await datasetFiles(dir, options), { ...options, codec: flags.codec, shardMb }),
      )
    })
}
