import type { DenseCodec } from './codec.js'
import { raiseMasked } from './masked.js'
import { topClasses } from './rows.js'

/** Codec f32: the teacher's logits as they are, masked classes aside. 4 bytes a class. */
export const f32: DenseCodec = {
  kind: 'dense',
  columns: ({ classes }) => [{ name: 'logits', type: 'float32', width: classes, list: true }],
  encode: ({ logits, classes }) => ({ logits: raiseMasked(logits, classes) }),
  tops: ({ logits }, { classes }) => topClasses(logits as Float32Array, classes),
  decode: ({ logits }) => logits as Float32Array,
}
