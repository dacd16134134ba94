import { Command, InvalidArgumentError } from 'commander'
import type { PullResult } from '../../share/index.js'
import { bytes, count } from '../format.js'
import { interruptible } from '../interrupt.js'
import { integer, range } from '../parse.js'
import { openTerminal } from '../terminal.js'
import { showTransfer } from './transfer.js'

interface Flags {
  shards?: number[]
  rows?: { from: number; to: number }
  revision?: string
  key?: string
  jobs: number
  json?: boolean
}

const examples = `
Examples:
  $ decant pull hf://datasets/org/name
  $ decant pull hf://datasets/org/name@v1.0 targets
  $ decant pull 'https://host/path#sha256=…' targets   # this manifest and no other
  $ decant pull s3://bucket/prefix some --rows 0:10000
  $ decant pull https://host/path some --shards 0-3,7

Stopped or killed, the same command goes on from the bytes that are there; in a finished folder it fetches what is missing or damaged. Every
shard's SHA-256 is checked before it gets its name; the manifest comes last. A part is a dataset of its own that names the whole one.`

export function pullCommand(): Command {
  return new Command('pull')
    .description('fetch a soft-target dataset, or a part of it, into a folder')
    .argument(
      '<uri>',
      'hf://datasets/org/name, s3://bucket/prefix, https://… or a path; #sha256=… behind it pins the manifest',
    )
    .argument('[dir]', 'new folder, or one to continue or to mend (default: the last word of the URI)')
    .option('--shards <list>', 'only these, counted from 0, as 0-3,7', numbers)
    .option('--rows <from:to>', 'only these, counted from 0', range)
    .option('--revision <name>', "a branch, tag or commit of the hub's repository (default: main)")
    .option('--key <file>', 'public Ed25519 key, PEM: fetch nothing that is not signed by it')
    .option('--jobs <n>', 'files on their way at once', integer(1, 64), 4)
    .option('--json', 'events as JSON lines on stdout')
    .addHelpText('after', examples)
    .action(run)
}

async function run(uri: string, dir: string | undefined, { json, key, ...flags }: Flags): Promise<void> {
  const { pullTargets } = await import('../../share/index.js')
  const { readKey } = await import('../../cache/index.js')
  const terminal = openTerminal({ json: json === true })
  const signedBy = key === undefined ? undefined : await readKey(key)
  try {
    const result = await interruptible(
      (signal) =>
        pullTargets(uri, {
          ...flags,
          ...(signedBy && { key: signedBy }),
          ...(dir !== undefined && { dir }),
          signal,
          onProgress: showTransfer(terminal, 'pull'),
        }),
      () => terminal.note('stopping; what has come stays'),
    )
    terminal.settle()
    terminal.event({ type: 'complete', ...result } as { type: string })
    terminal.print(render(result))
  } finally {
    terminal.settle()
  }
}

function render({ dir, manifest, from, rows, shards, bytes: all, fetchedBytes, repaired }: PullResult): string {
  const lines = [
    `${dir}: ${count(rows)} rows in ${count(shards)} shard${shards === 1 ? '' : 's'}, ${bytes(all)}; fetched ${bytes(fetchedBytes)}, all checked`,
    ...repaired.map((name) => `was damaged, fetched again: ${name}`),
    `manifest: ${manifest}${manifest === from ? '' : `, part of ${from}`}`,
  ]
  return lines.join('\n')
}

/** More than a manifest may list. */
const MOST = 1_000_000

/** A list such as 0-3,7. */
export function numbers(text: string): number[] {
  return text.split(',').flatMap((part) => {
    const [, from, to = from] = /^(\d{1,7})(?:-(\d{1,7}))?$/.exec(part.trim()) ?? []
    if (from === undefined || Number(from) > Number(to) || Number(to) > MOST)
      throw new InvalidArgumentError(`expected numbers such as 0-3,7, found '${text}'.`)
    return Array.from({ length: Number(to) - Number(from) + 1 }, (_, i) => Number(from) + i)
  })
}
