import { Command } from 'commander'
import type { PushResult } from '../../share/index.js'
import { bytes, count } from '../format.js'
import { interruptible } from '../interrupt.js'
import { integer } from '../parse.js'
import { openTerminal } from '../terminal.js'
import { showTransfer } from './transfer.js'

interface Flags {
  jobs: number
  replace?: boolean
  revision?: string
  dryRun?: boolean
  json?: boolean
}

const examples = `
Examples:
  $ decant push targets hf://datasets/org/name
  $ decant push targets s3://bucket/prefix --jobs 8
  $ decant push targets https://host/path        # a server that takes PUT
  $ decant push targets /mnt/shared/targets --dry-run

What is there already, by hash, is not sent again: stopped or killed, the same command goes on. The manifest is written last, so that nobody
reads half a dataset. With --replace the old manifest goes first: there is the old dataset, none for a while, then the new one. A dataset
without the licences of its data and its teacher is not pushed (decant license states them). A dataset of the
hub that is not there is made, private. Credentials come from the environment and the usual files, never from the URI: HF_TOKEN or hf auth login;
AWS_ACCESS_KEY_ID … or ~/.aws (AWS_ENDPOINT_URL for other servers); ~/.netrc.`

export function pushCommand(): Command {
  return new Command('push')
    .description('copy a soft-target dataset to a hub, a bucket, a web server or a folder')
    .argument('<dir>', 'folder of a soft-target dataset')
    .argument('<uri>', 'hf://datasets/org/name, s3://bucket/prefix, https://… or a path')
    .option('--jobs <n>', 'files on their way at once', integer(1, 64), 4)
    .option('--replace', 'in the stead of another dataset, or of other files, that lie there')
    .option('--revision <name>', "a branch of the hub's repository (default: main)")
    .option('--dry-run', 'print what would be sent; write nothing')
    .option('--json', 'events as JSON lines on stdout')
    .addHelpText('after', examples)
    .action(run)
}

async function run(dir: string, uri: string, { json, ...flags }: Flags): Promise<void> {
  const { pushTargets } = await import('../../share/index.js')
  const terminal = openTerminal({ json: json === true })
  try {
    const result = await interruptible(
      (signal) => pushTargets(dir, uri, { ...flags, signal, onProgress: showTransfer(terminal, 'push') }),
      () => terminal.note('stopping; what has arrived stays'),
    )
    terminal.settle()
    terminal.event({ type: flags.dryRun ? 'plan' : 'complete', ...result } as { type: string })
    terminal.print(render(result, flags.dryRun === true))
    for (const name of result.extra) terminal.note(`also there, and no part of the dataset: ${name}`)
  } finally {
    terminal.settle()
  }
}

function render({ uri, manifest, rows, sent, sentBytes, bytes: all, replaced }: PushResult, dryRun: boolean): string {
  const what = `${count(rows)} rows, ${bytes(all)}`
  const files = `${count(sent.length)} file${sent.length === 1 ? '' : 's'}, ${bytes(sentBytes)}`
  const did = dryRun
    ? `would send ${files} to ${uri}${replaced ? ', in the stead of another dataset' : ''}`
    : sent.length === 0
      ? `nothing to send: ${uri} has it`
      : `sent ${files} to ${uri}`
  return `${did} (${what})\npinned: ${uri}#sha256=${manifest}`
}
