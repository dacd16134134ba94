import type * as tf from '@tensorflow/tfjs-core'
import {
  type Buckets,
  type Chunk,
  type CodecName,
  type Columns,
  codecOf,
  type RowKind,
  type Stored,
  targetKind,
} from '../cache/index.js'
import { arrays, type Dtype, type InputSpec } from '../engine/engine.js'
import { gather } from './gather.js'

/** What the teacher said of n rows, as it lies in the cache: the columns of its codec. Of sequences each position is a row. */
export interface StoredTargets {
  codec: CodecName
  classes: number
  /** L: rows r·L to r·L + L - 1 are the positions of sequence r; 1 where it is left out. */
  positions?: number
  columns: StoredColumn[]
}

export interface StoredColumn {
  name: string
  /** float16 as its bits */
  dtype: Dtype
  /** values a row */
  width: number
  /** [n, width] */
  values: Stored
}

/**
 * What the teacher said of one batch, as a method sees it: B rows, C classes. No gradient flows into its logits. A temperature is one for
 * all rows, [], or of each row, [B, 1], and the gradient flows to it, so that a method may learn it; of a bucketed cache it is to stay
 * between 0.5 and 20, beyond which what is known of the tail is taken from there.
 */
export interface TeacherTargets {
  /** `bucketed`: only some classes of each row are known, and what all others have together. */
  kind: 'dense' | 'bucketed'
  /** float32 [B, C], raw. Only for methods that need `dense`. */
  logits(): tf.Tensor2D
  /**
   * log softmax(z/T) of teacher and student over the same m buckets, [B, m] each: m = C where the targets are dense, else the k known
   * classes and, last, all others together. The gradient flows to the student's logits, float32 [B, C]. `own` is the teacher's
   * temperature where it is another, [] or [B, 1].
   */
  logProbs(
    studentLogits: tf.Tensor2D,
    temperature: tf.Tensor,
    own?: tf.Tensor,
  ): { teacher: tf.Tensor2D; student: tf.Tensor2D }
  /**
   * What each bucket of `logProbs` weighs by how often it was drawn, [B, m], summing to 1: an estimate of the teacher's softmax at T, at
   * T = 1 without bias. For methods that need `draws`.
   */
  drawn(temperature: tf.Tensor): tf.Tensor2D
  /** log of each row's largest probability at T, [B]. */
  logTop(temperature: tf.Tensor): tf.Tensor1D
  /** The standard deviation of each row's logits over all C, C - 1 below, [B, 1]. For methods that need the statistic `std`. */
  deviation(): tf.Tensor2D
  /**
   * Teacher's and student's softmax at T without the label's class and beside it. For methods that need the statistic `label_logit`; of
   * a row without a label the numbers mean nothing.
   */
  decouple(
    studentLogits: tf.Tensor2D,
    labels: tf.Tensor1D,
    temperature: tf.Tensor,
  ): { teacher: Decoupled; student: Decoupled }
}

/** A row's probabilities in two parts (Zhao et al. 2022, equation 5), as logarithms. */
export interface Decoupled {
  /** b = [p_y, 1 - p_y], [B, 2] */
  binary: tf.Tensor2D
  /** Of the classes other than y among themselves, over the buckets of `logProbs`, in which y has none, [B, m]. */
  others: tf.Tensor2D
}

type KeptTargets = Pick<RowKind, 'codec' | 'classes' | 'positions' | 'positionLabels'> & { rows: number }

/** The targets' columns of n rows, or n sequences of `positions`, and the bytes of each. */
export function targetBytes({ codec, rows, positions = 1, ...kind }: KeptTargets) {
  const own = codecOf(codec).columns(targetKind({ ...kind, positions }))
  return own.map(({ name, type, width }) => {
    return { name, type, width, bytes: rows * positions * width * arrays[type].BYTES_PER_ELEMENT }
  })
}

/** Room for them. @param options.shared in memory that threads share */
export function emptyTargets({ shared = false, ...kept }: KeptTargets & { shared?: boolean }): StoredTargets {
  const columns = targetBytes(kept).map(({ name, type, width, bytes }): StoredColumn => {
    const memory = shared ? new SharedArrayBuffer(bytes) : new ArrayBuffer(bytes)
    return { name, dtype: type, width, values: new arrays[type](memory as ArrayBuffer) }
  })
  const { codec, classes, positions = 1 } = kept
  return { codec, classes, positions, columns }
}

/** Puts the targets of a chunk where its rows belong. */
export function storeChunk({ positions = 1, columns }: StoredTargets, chunk: Chunk): void {
  for (const { name, values, width } of columns) values.set(chunk.columns[name]!, chunk.first * positions * width)
}

/** What the teacher said of some rows (of sequences: positions): raw logits [rows, C], or buckets. */
export function teacherOf(
  { codec, classes, positions, columns }: StoredTargets,
  rows: Uint32Array,
): Float32Array | Buckets {
  const some: Columns = {}
  for (const { name, values, width, dtype } of columns) {
    some[name] = new arrays[dtype](rows.length * width)
    gather(values, { width, rows, into: some[name] })
  }
  return codecOf(codec).decode(some, targetKind({ classes, positions }))
}

/** The inputs of a step that hold the targets of a batch: `teacher.<column>`, as they lie in the cache. */
export function targetInputs(batch: number, { positions = 1, columns }: StoredTargets): Record<string, InputSpec> {
  return Object.fromEntries(
    columns.map(({ name, dtype, width }) => [inputOf(name), { shape: [batch * positions, width], dtype }] as const),
  )
}

export const inputOf = (column: string): string => `teacher.${column}`
