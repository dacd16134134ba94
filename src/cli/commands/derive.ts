import type { Command } from 'commander'
import type { DeriveOptions, Manifest } from '../../cache/index.js'
import { bytes, count } from '../format.js'
import { interruptible } from '../interrupt.js'
import { openTerminal } from '../terminal.js'

export interface DeriveFlags {
  out: string
  json?: boolean
}

/** What the commands that make a dataset of others have in common. */
export const addDeriveOptions = (command: Command): Command =>
  command
    .requiredOption('--out <dir>', 'folder of the new dataset; an unfinished one is continued')
    .option('--json', 'events as JSON lines on stdout')

export async function runDerive(
  flags: DeriveFlags,
  work: (options: DeriveOptions) => Promise<Manifest>,
): Promise<void> {
  const terminal = openTerminal({ json: flags.json === true })
  try {
    const manifest = await interruptible(
      (signal) =>
        work({
          out: flags.out,
          signal,
          onProgress: (done) => {
            terminal.event({ type: 'progress', ...done } as { type: string })
            terminal.progress('rows', done.rows, done.total, { unit: 'rows' })
          },
        }),
      () => terminal.note('stopping after the shard in hand; once more stops at once and loses it'),
    )
    const { rows, shards, codec, sha256 } = manifest
    const size = shards.reduce((sum, shard) => sum + shard.bytes, 0)
    terminal.settle()
    terminal.event({ type: 'complete', out: flags.out, rows, shards: shards.length, bytes: size, sha256 } as {
      type: string
    })
    terminal.print(`wrote ${flags.out}: ${count(rows)} rows, codec ${codec}, ${bytes(size)}`)
  } finally {
    terminal.settle()
  }
}
