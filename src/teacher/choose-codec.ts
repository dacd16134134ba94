import {
  bytesPerRow,
  type CodecName,
  type Fidelity,
  hasMasked,
  isCodecName,
  keepsMasked,
  labelsByPosition,
  measureFidelity,
  type RowKind,
} from '../cache/index.js'
import { DecantError } from '../errors.js'

/** What one codec makes of the sample. */
export interface CodecTrial {
  codec: CodecName
  bytesPerRow: number
  /** KL to the exact soft targets over all classes, the worst sampled row at T = 1 to 8, in nats */
  kl: number
}

/** The temperatures that `--max-kl` speaks of: what students are usually trained at. */
const RANGE = [1, 8] as const

/** The smallest codec whose worst sampled row stays within `maxKl`; what was tried, smallest first. f32 always does. */
export function chooseCodec(options: { logits: Float32Array; kind: Omit<RowKind, 'codec'>; maxKl: number }): {
  codec: CodecName
  trials: CodecTrial[]
} {
  const { logits, kind, maxKl } = options
  if (logits.length === 0)
    throw new DecantError('--codec auto: no sampled row has finite logits to measure codecs on; name a codec')
  const masked = hasMasked(logits, kind.classes)
  const trials: CodecTrial[] = []
  for (const candidate of candidatesOf(kind)) {
    const { codec } = candidate
    if (masked && !keepsMasked(codec)) continue
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
