import { fuse } from './fuse.js'
import { type LowerOptions, lower } from './lower.js'
import type { Outputs } from './rewrite.js'
import { simplify } from './simplify.js'

/** A traced program as ONNX operators. */
export function optimize(outputs: Outputs, options: LowerOptions = {}): Outputs {
  return simplify(lower(fuse(simplify(outputs)), options))
}
