import { DecantError } from '../../errors.js'
import type { Column, Columns } from '../columns.js'
import { f16 } from './f16.js'
import { f32 } from './f32.js'
import { hybrid } from './hybrid.js'
import { q8 } from './q8.js'
import { sampled } from './sampled.js'
import { topk } from './topk.js'

/** A codec as it is written: its name, the bytes of a row for hybrid, and the k of those that have one. */
export type CodecName = 'f32' | 'f16' | 'q8' | `hybrid:${number}` | `topk:${number}` | `sampled:${number}`

/** What of a dataset decides a target's columns. */
export interface TargetKind {
  classes: number
  /** the label of each target is known: its logit is kept where the codec may not have it */
  labelled: boolean
}

/** n targets to encode. */
export interface TargetRows {
  /** [n, C], raw, finite; -Inf for a class that is masked */
  logits: Float32Array
  classes: number
  /** [n], -1 = none; where it is left out no label's logit is kept */
  labels?: Int32Array | undefined
  /** [n / positions], which codec sampled draws by: `rowKeys` */
  keys?: Uint32Array | undefined
  /** targets of one row, 1 where it is left out */
  positions?: number | undefined
}

interface Encoder {
  /** The columns of one target. @throws DecantError where the codec does not work for so many classes */
  columns(kind: TargetKind): Column[]
  /** Raw logits → the columns' values. */
  encode(rows: TargetRows): Columns
  /**
   * The class of each target's largest logit, without decoding: int32 [n], of equal ones the first that is kept, -1 where none is. Where a codec draws
   * its classes, the largest may be missing, and `labels` [n] tell whether it is the label's.
   */
  tops(columns: Columns, kind: TargetKind, labels: Int32Array): Int32Array
}

/** Gives raw logits of all classes back. */
export interface DenseCodec extends Encoder {
  kind: 'dense'
  /** The columns' values → raw logits [n, C]; may be the stored array itself, or the start of `into`, which is large enough. */
  decode(columns: Columns, kind: TargetKind, into?: Float32Array): Float32Array
}

/** Gives the raw logits of k classes back, and the mass of all others together. */
export interface BucketedCodec extends Encoder {
  kind: 'bucketed'
  decode(columns: Columns, kind: TargetKind): Buckets
}

export type Codec = DenseCodec | BucketedCodec

/** n targets of k classes each and the rest, the tail. */
export interface Buckets {
  rows: number
  k: number
  /** [n, k] classes, distinct in a row, the likeliest first */
  index: Int32Array
  /** [n, k] their raw logits */
  logits: Float32Array
  /** [n] the row's top raw logit; of codec sampled perhaps of a class in the tail */
  top: Float32Array
  /** log Σ exp(z_j / T) over the tail, [n]. @throws DecantError for T outside [0.5, 20] */
  logTail(temperature: number): Float64Array
  /** [n] raw logit of the label, NaN where there is none; undefined for sequences whose labels were not known */
  labelLogit: Float32Array | undefined
  /** [n] mean and standard deviation of the row's raw logits, all that are not masked: FORMAT.md */
  mean: Float32Array
  std: Float32Array
  /** [n, k] codec sampled: how often the class was drawn out of k; count / k is unbiased for its soft target at T = 1 */
  count?: Uint8Array
}

const plain: Record<string, Codec> = { f32, f16, q8 }
/** Those with a number, and the largest that it may be: sampled counts draws in a byte. */
const numbered: Record<string, { make(number: number): Codec; most: number }> = {
  hybrid: { make: hybrid, most: 2 ** 24 },
  topk: { make: topk, most: 65_536 },
  sampled: { make: sampled, most: 255 },
}

/** For messages and help. */
export const CODECS = 'f32, f16, q8, hybrid:bytes, topk:k, sampled:k'

function findCodec(name: string): Codec | undefined {
  if (Object.hasOwn(plain, name)) return plain[name]
  const [, family, digits] = /^([a-z]+):([1-9]\d{0,7})$/.exec(name) ?? []
  if (family === undefined || !Object.hasOwn(numbered, family)) return undefined
  const { make, most } = numbered[family]!
  return Number(digits) <= most ? make(Number(digits)) : undefined
}

export const isCodecName = (name: unknown): name is CodecName =>
  typeof name === 'string' && findCodec(name) !== undefined

/** @throws DecantError for text that names no codec */
export function parseCodec(text: string): CodecName {
  if (!isCodecName(text)) throw new DecantError(`expected a codec, one of ${CODECS} (such as topk:16), found '${text}'`)
  return text
}

export function codecOf(name: CodecName): Codec {
  const codec = findCodec(name)
  if (!codec) throw new DecantError(`expected a codec, one of ${CODECS}, found '${name}'`)
  return codec
}
