import { arithmetic, comparison } from './arithmetic.js'
import { convolutions } from './conv.js'
import type { Kernels } from './kernel.js'
import { matmuls } from './matmul.js'
import { normalizations } from './normalize.js'
import { pools } from './pool.js'
import { randoms } from './random.js'
import { reductions } from './reduce.js'
import { creations, shapes } from './shape.js'
import { unaries } from './unary.js'

/** Every tfjs kernel that can be part of a program, by tfjs's name. */
export const kernels: Kernels = {
  ...arithmetic,
  ...comparison,
  ...unaries,
  ...reductions,
  ...matmuls,
  ...convolutions,
  ...pools,
  ...normalizations,
  ...shapes,
  ...creations,
  ...randoms,
}
