import { type Graph, type Node, sameShape, sizeOf, type Value } from '../ir.js'
import { binary } from '../kernels/arithmetic.js'
import { fill, reduce, reshape } from '../kernels/kernel.js'
import type { Rule } from './rewrite.js'

/**
 * Gathers what images are scaled and shifted by, channel by channel. tfjs's gradient of a batch normalisation is a dozen
 * products of images and vectors; with the vectors taken out of the products, and out of the sums over them, what is
 * left is Σdy, Σdy·(x - mean) and dx = a·dy + (b·(x - mean) + c). Products are the same up to their rounding.
 */
interface Product {
  image?: Value
  /** A vector over the image's channels, or a number. */
  vector?: Value
}

function isVector(x: Value, image: Value): boolean {
  return sizeOf(x.shape) === 1 || (x.shape.length === 1 && x.shape[0] === image.shape.at(-1))
}

function isImage({ shape, dtype }: Value): boolean {
  return shape.length === 4 && dtype === 'float32'
}

function split(graph: Graph, x: Value, whole: Value): Product {
  if (isVector(x, whole)) return { vector: sizeOf(x.shape) === 1 ? reshape(graph, x, []) : x }
  const [a, b] = x.node.inputs
  if (x.node.op !== 'Mul' || !sameShape(x.shape, whole.shape)) return { image: x }
  if (isVector(b!, x)) return { image: a, vector: b }
  return isVector(a!, x) ? { image: b, vector: a } : { image: x }
}

function times(graph: Graph, a: Value | undefined, b: Value | undefined): Value | undefined {
  return a && b ? binary(graph, 'Mul', a, b) : (a ?? b)
}

/** (image · u) · (image' · v) = (image · image') · (u · v). */
export const gatherFactors: Rule = (node, inputs, { graph }) => {
  const whole = node.outputs[0]!
  if (node.op !== 'Mul' || !isImage(whole)) return undefined
  const [a, b] = inputs.map((input) => split(graph, input, whole)) as [Product, Product]
  const vector = times(graph, a.vector, b.vector)
  const image = times(graph, a.image, b.image)
  if (!vector || !image || sizeOf(vector.shape) === 1 || !sameShape(image.shape, whole.shape)) return undefined
  return graph.emit('Mul', [image, vector], whole)
}

/** Σ image · vector = vector · Σ image, and Σ (x - mean x) = 0. */
export const pullOutOfSums: Rule = (node, inputs, { graph }) => {
  const x = inputs[0]!
  if (node.op !== 'ReduceSum' || !isOverPixels(node) || !isImage(x)) return undefined
  if (isDeviation(x)) return fill(graph, 0, node.outputs[0]!)
  const { image, vector } = split(graph, x, x)
  if (!image || !vector) return undefined
  const sum = isDeviation(image) ? fill(graph, 0, node.outputs[0]!) : reduce(graph, 'ReduceSum', image, [0, 1, 2])
  return binary(graph, 'Mul', sum, vector)
}

function isDeviation({ node }: Value): boolean {
  const [x, mean] = node.inputs
  return node.op === 'Sub' && mean!.node.op === 'ReduceMean' && isOverPixels(mean!.node) && mean!.node.inputs[0] === x
}

export function isOverPixels({ attributes }: Node): boolean {
  return (attributes.axes as readonly number[]).join() === '0,1,2' && !attributes.keepdims
}

/**
 * `scaleShift`: image · scale (+ shift) (+ another image) (and relu), which a convolution of 1 × 1, each channel by
 * itself, does in one go. Its attributes tell which of the last two inputs it has.
 */
export const scaleAndShift: Rule = (node, inputs, { graph, uses }) => {
  const whole = node.outputs[0]!
  if (!['Add', 'Sub', 'Mul'].includes(node.op) || !isImage(whole)) return undefined
  const isOnlyHere = (at: number) => uses(node.inputs[at]!) === 1
  const at = inputs.findIndex((input) => sizeOf(input.shape) > 1 && isVector(input, whole))
  if (at < 0) return node.op === 'Add' ? addImage(graph, inputs, isOnlyHere) : undefined
  const [image, vector] = [inputs[1 - at]!, inputs[at]!]
  if (!sameShape(image.shape, whole.shape) || (node.op === 'Sub' && at === 0)) return undefined
  if (node.op === 'Mul') return join(graph, { image, scale: vector })
  const shift = node.op === 'Sub' ? graph.emit('Neg', [vector], vector) : vector
  const parts =
    image.node.op === 'scaleShift' && isOnlyHere(1 - at) ? partsOf(image.node, image.node.inputs) : undefined
  return join(graph, parts && !parts.shift ? { ...parts, shift } : { image, scale: fill(graph, 1, vector), shift })
}

function addImage(graph: Graph, inputs: readonly Value[], isOnlyHere: (at: number) => boolean): Value | undefined {
  for (const at of [0, 1]) {
    const [scaled, plus] = [inputs[at]!, inputs[1 - at]!]
    if (scaled.node.op !== 'scaleShift' || !isOnlyHere(at) || !sameShape(scaled.shape, plus.shape)) continue
    const parts = partsOf(scaled.node, scaled.node.inputs)
    if (!parts.plus) return join(graph, { ...parts, plus })
  }
  return undefined
}

interface Parts {
  image: Value
  scale: Value
  shift?: Value
  plus?: Value
}

function join(graph: Graph, { image, scale, shift, plus }: Parts): Value {
  const inputs = [image, scale, shift, plus].flatMap((part) => (part ? [part] : []))
  return graph.emit('scaleShift', inputs, image, { shift: shift ? 1 : 0, plus: plus ? 1 : 0 })
}

/** The parts of a `scaleShift` node. */
export function partsOf(node: Node, inputs: readonly Value[]): Parts {
  const [image, scale, ...others] = inputs as [Value, Value, ...Value[]]
  return {
    image,
    scale,
    shift: node.attributes.shift ? others[0] : undefined,
    plus: node.attributes.plus ? others.at(-1) : undefined,
  }
}
