import { sameShape, splatOf, type Value } from '../ir.js'
import { reduce } from '../kernels/kernel.js'
import { gatherFactors, isOverPixels, pullOutOfSums, scaleAndShift } from './channels.js'
import { type Outputs, type Rule, rewrite } from './rewrite.js'
import { simplifyNode } from './simplify.js'

/**
 * Makes fewer, larger operations of tfjs's small ones, before their layout is chosen. For numbers that are finite the
 * results are the same; where a gradient is masked, an infinite or undefined one no longer shines through.
 */
export function fuse(outputs: Outputs): Outputs {
  return passes.reduce(rewrite, outputs)
}

/**
 * relu'(x) = [x > 0] = [relu(x) > 0], which frees x; and dy · [x > 0] is a choice between dy and 0, in one operation
 * instead of three.
 */
const maskGradients: Rule = (node, inputs, { graph, users }) => {
  const type = node.outputs[0]!
  if (node.op === 'Greater' && splatOf(inputs[1]!) === 0) {
    const activated = users(node.inputs[0]!).some((user) => user.op === 'Relu')
    const x = activated ? graph.emit('Relu', [inputs[0]!], inputs[0]!) : inputs[0]!
    return graph.emit('Greater', [x, inputs[1]!], type)
  }
  if (node.op !== 'Mul' || type.dtype !== 'float32') return undefined
  for (const [dy, mask] of [inputs, [...inputs].reverse()] as [Value, Value][]) {
    const condition = mask.node.op === 'Cast' ? mask.node.inputs[0]! : undefined
    if (condition?.dtype !== 'bool' || !sameShape(condition.shape, type.shape)) continue
    return graph.emit('Where', [condition, dy, graph.scalar(0)], type)
  }
  return undefined
}

/**
 * A pool hands dy to the maximum of its window. Where its input is a relu's output, the mask at the maximum is the mask
 * of the pool's output, at a quarter of the size; and the sum over all pixels is the sum of dy.
 */
const moveMasks: Rule = (node, inputs, { graph, uses }) => {
  if (node.op === 'Where' && splatOf(inputs[2]!) === 0) {
    const [mask, gradient] = inputs as [Value, Value]
    if (gradient.node.op !== 'maxPoolGrad' || uses(node.inputs[1]!) !== 1) return undefined
    const [dy, input, output] = gradient.node.inputs as [Value, Value, Value]
    if (mask.node.op !== 'Greater' || mask.node.inputs[0] !== input) return undefined
    const positive = graph.emit('Greater', [output, mask.node.inputs[1]!], { dtype: 'bool', shape: output.shape })
    const masked = graph.emit('Where', [positive, dy, inputs[2]!], dy)
    return graph.emit('maxPoolGrad', [masked, input, output], gradient, gradient.node.attributes)
  }
  return undefined
}

/** Every dy of a pool is somewhere in its gradient. */
const sumBelowPools: Rule = (node, [x], { graph }) =>
  node.op === 'ReduceSum' && isOverPixels(node) && x!.node.op === 'maxPoolGrad'
    ? reduce(graph, 'ReduceSum', x!.node.inputs[0]!, [0, 1, 2])
    : undefined

/** The relu of what only the relu uses. */
const fuseActivations: Rule = (node, [x], { graph, uses }) => {
  if (node.op !== 'Relu' || uses(node.inputs[0]!) !== 1) return undefined
  if (!['conv2d', 'scaleShift'].includes(x!.node.op) || x!.node.attributes.activation) return undefined
  return graph.emit(x!.node.op, x!.node.inputs, x!, { ...x!.node.attributes, activation: 'Relu' })
}

const passes = [
  maskGradients,
  moveMasks,
  gatherFactors,
  pullOutOfSums,
  simplifyNode, // what was gathered in different orders is the same
  sumBelowPools,
  scaleAndShift,
  fuseActivations,
]
