import type * as tf from '@tensorflow/tfjs-core'
import type { Graph, Value } from '../ir.js'
import { formulas } from './formula.js'
import { constant, float, type Kernels, kernel } from './kernel.js'

/** Sums over the channels at most `radius` away: a product with a band of ones, which is its own transpose. */
function sumAround(graph: Graph, x: Value, radius: number): Value {
  const c = x.shape.at(-1)!
  const band = Float32Array.from({ length: c * c }, (_, i) => (Math.abs((i % c) - Math.floor(i / c)) <= radius ? 1 : 0))
  return graph.emit('MatMul', [x, constant(graph, band, float([c, c]))], x)
}

/** bias + alpha · the sum of squares of the channels around. */
function normOf(graph: Graph, x: Value, { depthRadius, bias, alpha }: tf.LRNAttrs): Value {
  const { add, mul } = formulas(graph)
  return add(mul(sumAround(graph, mul(x, x), depthRadius), alpha), bias)
}

export const responses: Kernels = {
  /** y = x · norm^-beta, Krizhevsky et al. 2012, section 3.3. */
  LRN: kernel<tf.LRNInputs, tf.LRNAttrs>(({ x }, attributes, graph) => {
    const { mul, pow } = formulas(graph)
    return mul(x, pow(normOf(graph, x, attributes), -attributes.beta))
  }),
  /** dx = dy · norm^-beta - 2 · alpha · beta · x · the sum around of dy · y / norm. */
  LRNGrad: kernel<tf.LRNGradInputs, tf.LRNGradAttrs>(({ x, y, dy }, attributes, graph) => {
    const { sub, mul, div, pow } = formulas(graph)
    const { alpha, beta, depthRadius } = attributes
    const norm = normOf(graph, x, attributes)
    const around = sumAround(graph, div(mul(dy, y), norm), depthRadius)
    return sub(mul(dy, pow(norm, -beta)), mul(mul(x, around), 2 * alpha * beta))
  }),
}
