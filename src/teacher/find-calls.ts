import type { Plan } from '../cache/index.js'
import { DecantError } from '../errors.js'
import type { FixedBatch, LogitsKind, Mixing } from '../onnx/index.js'
import type { Batch, Source } from '../source/index.js'
import { takesPositionsForRows } from './check-context.js'
import type { Device } from './device.js'
import { explainMisfit } from './explain-misfit.js'
import { judgeRows, type RowsVerdict } from './judge-rows.js'
import type { LoadedTeacher } from './load-teacher.js'
import type { ExportEvent } from './options.js'
import type { Provider } from './provider.js'
import { type RunSampled, takeRows } from './sample-rows.js'

/** How the runtime is called for the rows of an export. */
export interface Calls {
  /** A row's logits depend on the rows that it is run with: each is run by itself. */
  alone: boolean
  /** The graph takes exactly so many rows a call. */
  fixedBatch: FixedBatch | undefined
  /** What is told of it, where rows cannot be run many at once. */
  event: Extract<ExportEvent, { type: 'calls' }> | undefined
}

export interface FindCalls {
  loaded: LoadedTeacher
  /** What the logits that are loaded, in float32, are thought to be. */
  kind: LogitsKind
  /** Path of the teacher, for errors. */
  path: string
  source: Pick<Source, 'uri' | 'input'>
  /** Random rows of all the source; how many of them are different, and what runs those. */
  sample: Batch
  rows: number
  run: RunSampled
  device: Device
  provider: Provider
  fixedBatch: FixedBatch | undefined
  /** The plan of an unfinished export, which goes on as it began. */
  before: Plan | undefined
}

/**
 * What equal rows may differ by. Sums in another order are 10⁻⁶ apart; where the graph shows a node over the batch, what is beyond that comes from
 * there, and `quantize_dynamic` of a large model may be no further apart on a few rows.
 */
const TOLERANCE = { coarse: 2e-2, hidden: 1e-3, shown: 1e-4 }

/** log 10⁻⁴: of probabilities below, float32 may hold few digits (1 - p has none below 6·10⁻⁸), and their logarithms jump. */
const LEAST_LOG = Math.log(1e-4)

/**
 * Tries the teacher on a few rows before anything is written: alone, together, in another order, and twice. Throws DecantError where logits are drawn at
 * random, and where a row that is run alone has nothing left to tell it from others.
 */
export async function findCalls(options: FindCalls): Promise<Calls> {
  const { loaded, kind, path, source, sample, rows, run, device, provider, fixedBatch, before } = options
  const mixing = loaded.mixing()
  // TF32, the matrix products of NVIDIA's providers, has the digits of float16
  const coarse = loaded.output.grain === 'float16' || provider === 'cuda' || provider === 'tensorrt'
  const bound = {
    tolerance: coarse ? TOLERANCE.coarse : mixing.batch.length > 0 ? TOLERANCE.shown : TOLERANCE.hidden,
    least: kind === 'log of probabilities' ? LEAST_LOG : undefined,
  }
  const suspect = mixing.chance.length > 0
  const verdict = await judgeRows({ ...bound, run, rows, fixedBatch: fixedBatch?.rows, suspect })
  refuse(path, verdict, { mixing, fixed: fixedBatch })
  if (verdict.kind === 'batch' && loaded.positions) {
    const one = (tokens: Int32Array) => device.run({ tokens }, 1)
    const found = await takesPositionsForRows(takeRows(sample, [0]) as Int32Array, { ...bound, run: one })
    if (found)
      throw new DecantError(`${path}: ${explainMisfit({ source, takes: loaded.takes, found: 'positions as rows' })}`)
  }
  const event = verdict.kind === 'batch' || fixedBatch ? describe(verdict, { mixing, fixed: fixedBatch }) : undefined
  const asBefore = before?.runtime.rows === 'alone' && before.teacher.sha256 === loaded.sha256
  return { alone: verdict.kind === 'batch' || asBefore, fixedBatch, event }
}

interface Known {
  mixing: Mixing
  fixed: FixedBatch | undefined
}

const evaluation = 'export the teacher in evaluation mode (in PyTorch after model.eval())'

function refuse(path: string, { kind, difference, rows, constant }: RowsVerdict, { mixing, fixed }: Known): void {
  if (kind === 'chance')
    throw new DecantError(
      `${path}: two equal runs of the same rows differ by |Δz| up to ${print(difference)}: ${listNodes(mixing.chance)}: nobody could repeat or check such targets; ${evaluation}`,
    )
  // in a graph for one row there is no other to compare with
  if (constant && (kind === 'batch' || (fixed?.rows === 1 && mixing.batch.length > 0)))
    throw new DecantError(
      `${path}: logits depend on the rows of a call, and alone all ${rows} rows that were looked at give the same: ${listNodes(mixing.batch)}; ${evaluation}, or without what it takes over the batch`,
    )
}

function describe({ kind, difference, rows, seconds }: RowsVerdict, { mixing, fixed }: Known): Calls['event'] {
  const alone = kind === 'batch'
  const depends = `their logits depend on the rows of a call (of ${rows} looked at, |Δz| up to ${print(difference)}): ${listNodes(mixing.batch)}; where that is not meant, export in evaluation mode or quantize statically`
  return {
    type: 'calls',
    alone,
    ...(fixed && { fixedBatch: fixed.rows }),
    rowsPerSecond: (alone ? 1 : fixed!.rows) / seconds,
    why: [...(fixed ? [fixed.why] : []), ...(alone ? [depends] : [])].join('; '),
  }
}

const print = (difference: number) => difference.toPrecision(2)

const listNodes = ([first, ...others]: string[]) =>
  first === undefined
    ? 'the graph does not show where'
    : others.length > 0
      ? `${first} and ${others.length} more`
      : first
