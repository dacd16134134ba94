import {
  bytesPerRow,
  type CodecName,
  type Fidelity,
  isCodecName,
  labelsByPosition,
  measureFidelity,
  type RowKind,
} from '../cache/index.js'
import { DecantError } from '../errors.js'
import { random } from '../random.js'
import type { Batch, Source } from '../source/index.js'
import type { TeacherOutput } from './run-rows.js'

/** What one codec makes of the sample. */
export interface CodecTrial {
  codec: CodecName
  bytesPerRow: number
  /** KL to the exact soft targets over all classes, the worst sampled row at T = 1 to 8, in nats */
  kl: number
}

/** Rows that fidelity is measured on, at most, and values of their logits: about a second for each codec. */
const SAMPLE_ROWS = 256
const SAMPLE_VALUES = 2 ** 20
/** The temperatures that `--max-kl` speaks of: what students are usually trained at. */
const RANGE = [1, 8] as const

/** Random rows of the source, or `first` where one of them cannot be read. */
export async function sampleRows(source: Source, first: Batch, range: { from: number; to: number }): Promise<Batch> {
  const { below } = random('fidelity', source.fingerprint)
  const rows = range.to - range.from
  const picked = new Set(Array.from({ length: Math.min(SAMPLE_ROWS, rows) }, () => range.from + below(rows)))
  return source.read([...picked].sort((a, b) => a - b)).catch(() => first)
}

/** How many rows of a sample are run. */
export const rowsToSample = (batch: Batch, valuesPerRow: number): number =>
  Math.max(1, Math.min(batch.rows, Math.floor(SAMPLE_VALUES / valuesPerRow)))

/** The raw logits [n, C] of a sample, of long sequences some positions; padding, and rows that are not finite and end the export where they come up, left out. */
export function finiteTargets({ columns, rowSum, rows }: TeacherOutput, classes: number): Float32Array {
  const logits = columns.logits as Float32Array
  const lengths = columns.length as Int32Array | undefined
  const positions = rowSum.length / rows
  const kept: Float32Array[] = []
  rowSum.forEach((sum, at) => {
    const isPadding = lengths !== undefined && at % positions >= lengths[Math.floor(at / positions)]!
    if (Number.isFinite(sum) && !isPadding) kept.push(logits.subarray(at * classes, (at + 1) * classes))
  })
  const step = Math.ceil((kept.length * classes) / SAMPLE_VALUES)
  const some = kept.filter((_, i) => i % step === 0)
  const all = new Float32Array(some.length * classes)
  some.forEach((row, i) => {
    all.set(row, i * classes)
  })
  return all
}

/** The smallest codec whose worst sampled row stays within `maxKl`; what was tried, smallest first. f32 always does. */
export function chooseCodec(options: { logits: Float32Array; kind: Omit<RowKind, 'codec'>; maxKl: number }): {
  codec: CodecName
  trials: CodecTrial[]
} {
  const { logits, kind, maxKl } = options
  if (logits.length === 0)
    throw new DecantError('--codec auto: no sampled row has finite logits to measure codecs on; name a codec')
  const trials: CodecTrial[] = []
  for (const candidate of candidatesOf(kind)) {
    const { codec } = candidate
    const kl = codec === 'f32' ? 0 : worstKl(measureFidelity({ logits, classes: kind.classes, codec }))
    trials.push({ ...candidate, kl })
    if (kl <= maxKl) return { codec, trials }
  }
  return { codec: 'f32', trials }
}

/** The codecs that come into question, the smallest first. */
export function candidatesOf(kind: Omit<RowKind, 'codec'>): { codec: CodecName; bytesPerRow: number }[] {
  const { classes } = kind
  const some = [16, 64, 256].filter((k) => 2 * k <= classes)
  const codecs: CodecName[] = [
    ...some.map((k): CodecName => `topk:${k}`),
    // bits a class, and the columns beside them
    ...[4.6, 5.2, 6].map((bits): CodecName => `hybrid:${25 + Math.ceil((bits / 8) * classes)}`).filter(isCodecName),
    'q8',
    'f16',
    'f32',
  ]
  return codecs
    .map((codec) => ({ codec, bytesPerRow: bytesPerRow({ ...kind, codec, ...labelsByPosition({ ...kind, codec }) }) }))
    .sort((a, b) => a.bytesPerRow - b.bytesPerRow)
}

const worstKl = ({ temperatures }: Fidelity): number =>
  Math.max(
    ...temperatures
      .filter(({ temperature }) => temperature >= RANGE[0] && temperature <= RANGE[1])
      .map(({ klClasses }) => klClasses.worst),
  )
