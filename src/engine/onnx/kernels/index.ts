import { arithmetic, comparison } from './arithmetic.js'
import { blocks } from './blocks.js'
import { convolutions } from './conv.js'
import { counts } from './count.js'
import { dilations } from './dilation.js'
import type { Kernels } from './kernel.js'
import { responses } from './lrn.js'
import { matmuls } from './matmul.js'
import { normalizations } from './normalize.js'
import { pools } from './pool.js'
import { randoms } from './random.js'
import { reductions } from './reduce.js'
import { resizes } from './resize.js'
import { samplings } from './sample.js'
import { scatters } from './scatter.js'
import { creations, shapes } from './shape.js'
import { unaries } from './unary.js'
import { volumes } from './volume.js'

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
  ...volumes,
  ...dilations,
  ...resizes,
  ...samplings,
  ...blocks,
  ...responses,
  ...scatters,
  ...counts,
}
