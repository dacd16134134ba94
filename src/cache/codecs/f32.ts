import type { Codec } from './codec.js'

/** Codec f32: the teacher's logits as they are. Lossless, 4 bytes a class. */
export const f32: Codec = {
  columns: (classes) => [{ name: 'logits', type: 'float32', width: classes, list: true }],
  encode: (logits) => [logits],
  // Stored and raw are the same bytes: they are read to where they are wanted.
  allocate: (logits) => [logits],
  decode() {},
}
