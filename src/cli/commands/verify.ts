import { Command } from 'commander'
import type { Verification } from '../../cache/index.js'
import { DecantError } from '../../errors.js'
import type { Rerun } from '../../teacher/index.js'
import { type Provider, providers } from '../../teacher/provider.js'
import { bytes, count, percent } from '../format.js'
import { interruptible } from '../interrupt.js'
import { integer, oneOf } from '../parse.js'
import { openTerminal, type Terminal } from '../terminal.js'
import { openData } from './student-options.js'

interface Flags {
  key?: string
  teacher?: string
  source?: string
  rows: number
  seed: number
  provider: Provider | 'auto'
  json?: boolean
}

const examples = `
Examples:
  $ decant verify targets
  $ decant verify targets --key public.pem
  $ decant verify targets --teacher teacher.onnx --source data/train-images-idx3-ubyte.gz --rows 256

Exit code 0: sound; 1: something is wrong, a line each. With --teacher, mean |Δz| over the rows may be a share of the mean gap to a row's
top logit: 1e-4 in float32 on the same provider, 1e-3 on another, 5e-3 for a float16 teacher, and what the codec rounds on top;
the top class must agree on 99 % of the rows (float16: 97 %).`

export function verifyCommand(): Command {
  return new Command('verify')
    .description('check every byte of a soft-target dataset; with --teacher, that the teacher still says the same')
    .argument('<dir>', 'folder or URI of a soft-target dataset')
    .option('--key <file>', 'public Ed25519 key, PEM: the manifest must be signed by it (decant sign)')
    .option('--teacher <file>', 'run this ONNX teacher again on random rows')
    .option('--source <uri>', "the data, where they are not at the manifest's path any more")
    .option('--rows <n>', 'how many rows to run again', integer(1, 1_000_000), 256)
    .option('--seed <n>', 'which rows', integer(0), 0)
    .option(
      '--provider <name>',
      `auto, ${providers.join(', ')}`,
      oneOf(['auto', ...providers] as const),
      'auto' as const,
    )
    .option('--json', 'events as JSON lines on stdout')
    .addHelpText('after', examples)
    .action(run)
}

async function run(dir: string, flags: Flags): Promise<void> {
  const { readKey, verifyTargets } = await import('../../cache/index.js')
  const { datasetFiles } = await import('../../share/open-dataset.js')
  const terminal = openTerminal({ json: flags.json === true })
  if (flags.source !== undefined && flags.teacher === undefined)
    throw new DecantError('--source goes with --teacher: the rows are run again')
  try {
    const key = flags.key === undefined ? undefined : await readKey(flags.key)
    const found = await interruptible(
      async (signal) =>
        verifyTargets(await datasetFiles(dir, { signal }), {
          signal,
          ...(key && { key }),
          onProgress: ({ problem, ...done }) => {
            terminal.event({ type: 'progress', ...done } as { type: string })
            terminal.progress('verify', done.rows, done.totalRows, { unit: 'rows' })
            if (problem !== undefined) terminal.note(`wrong: ${problem}`)
          },
        }),
      () => {},
    )
    terminal.settle()
    terminal.event({ type: 'verified', ...found } as { type: string })
    terminal.print(render(dir, found, key !== undefined))
    if (found.problems.length > 0) process.exitCode = 1
    else if (flags.teacher !== undefined) await rerun(dir, flags, terminal)
  } finally {
    terminal.settle()
  }
}

function render(
  dir: string,
  { shards, rows, bytes: size, problems, unchecked }: Verification,
  signed: boolean,
): string[] {
  const read = `${count(rows)} rows, ${bytes(size)} in ${shards} shard${shards === 1 ? '' : 's'}`
  const lines =
    problems.length === 0
      ? [`${dir}: sound${signed ? ', signed by this key' : ''}: ${read}`]
      : [...problems, `${dir}: not sound: ${read}`]
  return [...lines, ...unchecked.map((line) => `not checked: ${line}`)]
}

async function rerun(dir: string, flags: Flags, terminal: Terminal): Promise<void> {
  const { rerunTeacher } = await import('../../teacher/index.js')
  const data = await openData(dir, flags.source)
  try {
    const { rows, seed, provider } = flags
    const result = await rerunTeacher({ ...data, teacher: flags.teacher!, rows, seed, provider })
    terminal.event({ type: 'rerun', ...result } as { type: string })
    terminal.print(renderRerun(flags.teacher!, result))
    if (!result.within || result.misread) process.exitCode = 1
  } finally {
    await data.close()
  }
}

function renderRerun(teacher: string, rerun: Rerun): string {
  const { rows, seed, provider, meanDifference, maxDifference, agreement, tolerance } = rerun
  return [
    `${teacher}, run again on ${count(rows)} rows (seed ${seed}, ${provider}): ${rerun.within ? 'the same' : 'NOT THE SAME'}`,
    `  mean |Δz|   ${meanDifference.toExponential(2)}, at most ${tolerance.meanDifference.toExponential(2)}; largest ${maxDifference.toExponential(2)}`,
    `  top class   agrees on ${percent(agreement)}, at least ${percent(tolerance.agreement)}`,
    ...(rerun.misread
      ? [
          `  NO LOGITS   the dataset took the output for logits, but its graph ends otherwise (${rerun.misread}): export it again`,
        ]
      : []),
    ...(rerun.sameTeacher ? [] : ["  the file is not the manifest's: its sha256 is another"]),
  ].join('\n')
}
