import type { CodecName } from '../manifest.js'
import { f16 } from './f16.js'
import { f32 } from './f32.js'

/** A column of the target: one value a row (`list` undefined) or a fixed-size list of C. */
export interface TargetColumn {
  name: string
  type: 'float32' | 'float16'
  /** values per row */
  width: number
  /** stored as fixed_size_list, even where width is 1 */
  list: boolean
}

/** The values of one column, row-major; float16 as its bits. */
export type Stored = Float32Array | Uint16Array

/** How raw logits are kept: the columns, and the two directions between them. */
export interface Codec {
  columns(classes: number): TargetColumn[]
  /** Raw logits [n, C] → the columns' values. */
  encode(logits: Float32Array, classes: number): Stored[]
  /** Where the columns' bytes of n rows are read to, before `decode` makes `logits` of them. */
  allocate(logits: Float32Array, classes: number): Stored[]
  /** The columns' values → raw logits [n, C], into `logits`. */
  decode(stored: Stored[], logits: Float32Array, classes: number): void
}

export const codecs: Record<CodecName, Codec> = { f32, f16 }
