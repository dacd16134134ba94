import * as tf from '@tensorflow/tfjs-core'
import type { Graph, Value } from '../ir.js'
import { binary } from './arithmetic.js'
import { type Kernels, kernel, reshape, transpose } from './kernel.js'
import { activate } from './unary.js'

interface Sides {
  transposeA?: boolean
  transposeB?: boolean
}

function swapLast(graph: Graph, x: Value): Value {
  const axes = x.shape.map((_, axis) => axis)
  return transpose(graph, x, [...axes.slice(0, -2), axes.at(-1)!, axes.at(-2)!])
}

/** [..., m, k] · [..., k, n]; the leading axes broadcast. Two matrices are one Gemm, which transposes for nothing. */
export function matmul(graph: Graph, a: Value, b: Value, { transposeA = false, transposeB = false }: Sides): Value {
  if (isStackOfOne(a) && isStackOfOne(b)) {
    const product = matmul(graph, toMatrix(graph, a), toMatrix(graph, b), { transposeA, transposeB })
    const rank = Math.max(a.shape.length, b.shape.length)
    return reshape(graph, product, [...Array.from({ length: rank - 2 }, () => 1), ...product.shape])
  }
  const m = a.shape.at(transposeA ? -1 : -2)!
  const n = b.shape.at(transposeB ? -2 : -1)!
  if (a.shape.length === 2 && b.shape.length === 2 && a.dtype === 'float32') {
    const attributes = { transA: transposeA ? 1 : 0, transB: transposeB ? 1 : 0 }
    return graph.emit('Gemm', [a, b], { dtype: a.dtype, shape: [m, n] }, attributes)
  }
  const batch = tf.broadcast_util.assertAndGetBroadcastShape(a.shape.slice(0, -2), b.shape.slice(0, -2))
  const sides = [transposeA ? swapLast(graph, a) : a, transposeB ? swapLast(graph, b) : b]
  return graph.emit('MatMul', sides, { dtype: a.dtype, shape: [...batch, m, n] })
}

/** tfjs's gradients make [1, m, k] of matrices. */
function isStackOfOne({ shape }: Value): boolean {
  return shape.length > 2 && shape.slice(0, -2).every((d) => d === 1)
}

function toMatrix(graph: Graph, x: Value): Value {
  return reshape(graph, x, x.shape.slice(-2))
}

export const matmuls: Kernels = {
  BatchMatMul: kernel<tf.BatchMatMulInputs, tf.BatchMatMulAttrs>(({ a, b }, sides, graph) => {
    if (a.shape.length < 2 || b.shape.length < 2) throw new TypeError(`[${a.shape}] · [${b.shape}]: expected matrices`)
    return matmul(graph, a, b, sides)
  }),
  _FusedMatMul: kernel<tf._FusedMatMulInputs, tf._FusedMatMulAttrs>((inputs, attributes, graph) => {
    const { a, b, bias, preluActivationWeights: weights } = inputs
    const product = matmul(graph, a, b, attributes)
    const sum = bias ? binary(graph, 'Add', product, bias) : product
    return activate(graph, sum, { activation: attributes.activation, alpha: attributes.leakyreluAlpha, weights })
  }),
  Einsum: kernel<Record<number, tf.TensorInfo>, tf.EinsumAttrs>((inputs, { equation }, graph) => {
    const tensors = Object.values(inputs) as Value[]
    const { allDims, idDims } = tf.backend_util.decodeEinsumEquation(equation, tensors.length)
    tf.backend_util.checkEinsumDimSizes(allDims.length, idDims, tensors as unknown as tf.Tensor[])
    const sizes = new Map(idDims.flatMap((dims, i) => dims.map((dim, axis) => [dim, tensors[i]!.shape[axis]!])))
    const rank = equation.split('->')[1]!.trim().length
    const shape = allDims.slice(0, rank).map((_, dim) => sizes.get(dim)!)
    return graph.emit('Einsum', tensors, { dtype: tensors[0]!.dtype, shape }, { equation })
  }),
}
