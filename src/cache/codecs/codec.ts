import type { Column, Columns } from '../columns.js'
import { f16 } from './f16.js'
import { f32 } from './f32.js'

/** A codec as it is written: its name, and the k of those that have one. */
export type CodecName = 'f32' | 'f16'

/** How raw logits are kept: the columns, and the two directions between them. */
export interface Codec {
  /** dense: raw logits of all classes come back. */
  kind: 'dense'
  /** The columns of one target. */
  columns(classes: number): Column[]
  /** Raw logits [n, C] → the columns' values. */
  encode(logits: Float32Array, classes: number): Columns
  /** The columns' values → raw logits [n, C]; may be the stored array itself. */
  decode(columns: Columns, classes: number): Float32Array
}

const codecs: Record<CodecName, Codec> = { f32, f16 }

export const codecOf = (name: CodecName): Codec => codecs[name]
