import { Command } from 'commander'
import type { CodecName } from '../../cache/index.js'
import { number, oneOf } from '../parse.js'
import { addDeriveOptions, type DeriveFlags, runDerive } from './derive.js'

interface Flags extends DeriveFlags {
  codec: CodecName
  shardMb: number
}

export function convertCommand(): Command {
  const command = new Command('convert')
    .description('write a soft-target dataset in another codec')
    .argument('<dir>', 'folder of a soft-target dataset that keeps all classes')
    .requiredOption('--codec <codec>', 'f32 or f16', oneOf(['f32', 'f16'] as const))
    .option('--shard-mb <n>', 'size of a shard in MiB, about', number(0.01, 1900), 128)
  return addDeriveOptions(command)
    .addHelpText('after', '\nExample:\n  $ decant convert targets --codec f16 --out smaller')
    .action(async (dir: string, flags: Flags) => {
      const { convertTargets } = await import('../../cache/index.js')
      const { codec, shardMb } = flags
      await runDerive(flags, (options) => convertTargets(dir, { ...options, codec, shardMb }))
    })
}
