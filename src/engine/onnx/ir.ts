import type { ElementName } from '../../onnx/dtypes.js'

/** Element types that values of a program have. */
export type DType = Extract<
  ElementName,
  'float32' | 'float16' | 'int32' | 'bool' | 'uint8' | 'uint16' | 'int64' | 'uint32'
>
/** Sizes; in a program for any batch size, -k stands for k times the batch. */
export type Shape = readonly number[]
export type Data = Float32Array | Int32Array | Uint8Array | BigInt64Array | Uint32Array

export type AttributeValue = number | string | readonly number[] | { float: number } | undefined
export type Attributes = Readonly<Record<string, AttributeValue>>

export interface Type {
  dtype: DType
  shape: Shape
}

/**
 * One operation of a program. `op` is an ONNX operator where it starts with a capital: its attributes are then ONNX's,
 * save that what ONNX wants as a constant input (axes, pads, a shape) is an attribute here, too. Operators in lower case
 * are tfjs's convolutions and pools, on NHWC tensors; lowering chooses how to write them in ONNX.
 */
export interface Node {
  readonly id: number
  readonly op: string
  readonly inputs: readonly Value[]
  readonly attributes: Attributes
  readonly outputs: readonly Value[]
  /** Of a `Constant`: row-major. */
  readonly data?: Data
}

/** One output of a node: a tensor of fixed shape. */
export interface Value extends Type {
  readonly node: Node
  readonly index: number
}

/** Makes nodes; equal ones (operator, inputs, attributes) are one node, so common subexpressions never exist twice. */
export class Graph {
  #count = 0
  readonly #known = new Map<string, Node>()

  /** A node with one output. */
  emit(op: string, inputs: readonly Value[], type: Type, attributes: Attributes = {}): Value {
    return this.emitAll(op, inputs, [type], attributes)[0]!
  }

  /** A node with several outputs. */
  emitAll(op: string, inputs: readonly Value[], types: readonly Type[], attributes: Attributes = {}): readonly Value[] {
    const key = keyOf(op, inputs, types, attributes)
    const known = this.#known.get(key)
    if (known) return known.outputs
    const node = this.#make({ op, inputs, attributes }, types)
    this.#known.set(key, node)
    return node.outputs
  }

  /** A value that comes from outside: an input of the program, or a variable at the step's start. */
  input(op: 'Input' | 'Variable', name: string, type: Type): Value {
    return this.emit(op, [], type, { name })
  }

  /** A constant; a name is only for readers. */
  constant(data: Data, { dtype, shape }: Type, name?: string): Value {
    const attributes = name === undefined ? {} : { name }
    const make = () => this.#make({ op: 'Constant', inputs: [], attributes, data }, [{ dtype, shape }])
    if (data.length > smallConstant) return make().outputs[0]!
    const elements = Array.from(data as ArrayLike<number | bigint>, (x) => (Object.is(x, -0) ? '-0' : x))
    const key = `Constant ${name ?? ''} ${dtype}[${shape}] ${elements}`
    const node = this.#known.get(key) ?? make()
    this.#known.set(key, node)
    return node.outputs[0]!
  }

  /** The float32 scalar `x`. */
  scalar(x: number): Value {
    return this.constant(Float32Array.of(x), { dtype: 'float32', shape: [] })
  }

  #make(fields: Omit<Node, 'id' | 'outputs'>, types: readonly Type[]): Node {
    const outputs: Value[] = []
    const node: Node = { id: this.#count++, ...fields, outputs }
    for (const [index, { dtype, shape }] of types.entries()) outputs.push({ node, index, dtype, shape })
    return node
  }
}

/** Up to this many elements, equal constants are found by content. */
const smallConstant = 64

function keyOf(op: string, inputs: readonly Value[], types: readonly Type[], attributes: Attributes): string {
  const sources = inputs.map(({ node, index }) => `${node.id}.${index}`).join()
  const results = types.map(({ dtype, shape }) => `${dtype}[${shape}]`).join()
  return `${op}(${sources}) ${JSON.stringify(attributes)} ${results}`
}

export function isDynamic(dimension: number): boolean {
  return dimension < 0
}

export function sizeOf(shape: Shape): number {
  return shape.reduce((size, d) => size * d, 1)
}

export function sameShape(a: Shape, b: Shape): boolean {
  return a.length === b.length && a.every((d, i) => d === b[i])
}

export function dataOf(value: Value): Data | undefined {
  return value.node.data
}

/** The number that all elements of a constant have, if there is one. */
export function splatOf(value: Value): number | undefined {
  const data = value.node.data
  if (!data || data.length === 0) return undefined
  const first = data[0]!
  for (let i = 1; i < data.length; i++) if (data[i] !== first) return undefined
  return Number(first)
}

/** The nodes that `values` depend on, each after its inputs. */
export function sortNodes(values: Iterable<Value>): Node[] {
  const sorted: Node[] = []
  const seen = new Set<Node>()
  // An explicit stack: the graph of a deep network is deeper than JavaScript's call stack.
  const stack = [...values].reverse().map((value) => ({ node: value.node, next: 0 }))
  while (stack.length > 0) {
    const top = stack.at(-1)!
    if (seen.has(top.node)) {
      stack.pop()
      continue
    }
    const input = top.node.inputs[top.next++]
    if (!input) {
      seen.add(top.node)
      sorted.push(top.node)
      stack.pop()
    } else if (!seen.has(input.node)) {
      stack.push({ node: input.node, next: 0 })
    }
  }
  return sorted
}
