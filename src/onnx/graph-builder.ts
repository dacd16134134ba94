import { create, toBinary } from '@bufbuild/protobuf'
import {
  type AttributeProto,
  AttributeProtoSchema,
  AttributeProto_AttributeType as AttributeType,
  type GraphProto,
  GraphProtoSchema,
  type ModelProto,
  ModelProtoSchema,
  type NodeProto,
  NodeProtoSchema,
  OperatorSetIdProtoSchema,
  StringStringEntryProtoSchema,
  type TensorProto,
  TensorProtoSchema,
  TensorShapeProto_DimensionSchema,
  TensorShapeProtoSchema,
  TypeProto_TensorSchema,
  TypeProtoSchema,
  type ValueInfoProto,
  ValueInfoProtoSchema,
} from 'onnx-buf'
import { type ElementName, elementBytes, elementTypes } from './dtypes.js'

/** A dimension: a size, the name of a dynamic one, or null where nothing is known. */
export type Dimension = number | string | null

/** Integers are ONNX ints: wrap what ONNX declares as float in `{ float }`, however round its value is. */
export type Attribute =
  | number
  | string
  | readonly number[]
  | { float: number }
  | { floats: readonly number[] }
  | { strings: readonly string[] }
  | { graph: GraphProto }
  | { tensor: TensorProto }

export type Attributes = Readonly<Record<string, Attribute | undefined>>

export interface NodeOptions {
  /** How many outputs, or their names; default 1, named after the operator. */
  outputs?: number | string[]
  domain?: string
}

/**
 * Collects the nodes, initializers, inputs and outputs of one ONNX graph.
 * Values are known by name; names start with `prefix` and avoid `taken`, so that a builder can also extend a graph that
 * somebody else wrote: splice `nodes` and `initializers` into it.
 */
export class GraphBuilder {
  readonly nodes: NodeProto[] = []
  readonly initializers: TensorProto[] = []
  readonly inputs: ValueInfoProto[] = []
  readonly outputs: ValueInfoProto[] = []
  readonly #prefix: string
  readonly #taken: Set<string>
  readonly #counts = new Map<string, number>()
  readonly #constants = new Map<string, string>()

  constructor(options: { prefix?: string; taken?: Iterable<string> } = {}) {
    this.#prefix = options.prefix ?? ''
    this.#taken = new Set(options.taken)
  }

  /** A name that no value of the graph has yet: `prefix` + `hint`, numbered where it is taken. */
  fresh(hint: string): string {
    for (;;) {
      const count = this.#counts.get(hint) ?? 0
      this.#counts.set(hint, count + 1)
      const name = count === 0 ? this.#prefix + hint : `${this.#prefix}${hint}_${count}`
      if (this.#taken.has(name)) continue
      this.#taken.add(name)
      return name
    }
  }

  /** Appends a node and returns its (first) output. An empty input name is an absent optional input. */
  node(op: string, inputs: readonly string[], attributes: Attributes = {}, options: NodeOptions = {}): string {
    return this.nodeOf(op, inputs, attributes, options)[0]!
  }

  /** Appends a node and returns all its outputs. */
  nodeOf(op: string, inputs: readonly string[], attributes: Attributes = {}, options: NodeOptions = {}): string[] {
    const { outputs = 1, domain = '' } = options
    const output =
      typeof outputs === 'number' ? Array.from({ length: outputs }, () => this.fresh(op.toLowerCase())) : outputs
    for (const name of output) this.#taken.add(name)
    this.nodes.push(makeNode({ op, inputs, outputs: output, attributes, domain }))
    return output
  }

  /** An initializer from its little-endian bytes; equal ones are stored once. */
  constant(
    dtype: Exclude<ElementName, 'string'>,
    values: ArrayBufferView,
    dims: readonly number[],
    hint = 'c',
  ): string {
    const bytes = new Uint8Array(values.buffer as ArrayBuffer, values.byteOffset, values.byteLength).slice()
    const expected = dims.reduce((size, d) => size * d, elementBytes[dtype])
    if (bytes.length !== expected) {
      throw new RangeError(`constant ${dtype}[${dims}]: expected ${expected} bytes, found ${bytes.length}`)
    }
    const key = bytes.length <= 256 ? `${dtype}[${dims}]${Buffer.from(bytes).toString('base64')}` : undefined
    const known = key && this.#constants.get(key)
    if (known) return known
    const name = this.fresh(hint)
    if (key) this.#constants.set(key, name)
    this.initializers.push(makeTensor({ name, dtype, dims, bytes }))
    return name
  }

  /** A float32 initializer: a scalar from a number, else a vector unless `dims` says otherwise. */
  f32(values: number | ArrayLike<number>, dims?: readonly number[]): string {
    const array = Float32Array.from(typeof values === 'number' ? [values] : values)
    return this.constant('float32', array, dims ?? (typeof values === 'number' ? [] : [array.length]))
  }

  /** An int64 initializer (shapes, axes, pads): a scalar from a number, else a vector. */
  i64(values: number | readonly number[]): string {
    const array = BigInt64Array.from(typeof values === 'number' ? [BigInt(values)] : values.map(BigInt))
    return this.constant('int64', array, typeof values === 'number' ? [] : [array.length])
  }

  /** Declares a graph input and returns its name, which is exactly `name`. */
  input(name: string, dtype: ElementName, shape: readonly Dimension[]): string {
    this.#taken.add(name)
    this.inputs.push(makeValueInfo(name, dtype, shape))
    return name
  }

  /** Declares `value` as the graph output `name`; another name than the value's own costs an Identity. */
  output(name: string, dtype: ElementName, shape: readonly Dimension[], value = name): void {
    if (value !== name) this.node('Identity', [value], {}, { outputs: [name] })
    this.outputs.push(makeValueInfo(name, dtype, shape))
  }

  graph(name: string): GraphProto {
    return create(GraphProtoSchema, {
      name,
      node: this.nodes,
      initializer: this.initializers,
      input: this.inputs,
      output: this.outputs,
    })
  }

  model(options: ModelOptions): ModelProto {
    return makeModel(this.graph(options.name), options)
  }
}

export interface ModelOptions {
  /** The graph's name. */
  name: string
  /** Of the default operator set; default 18. */
  opset?: number
  /** Versions of other operator sets, by domain. */
  domains?: Readonly<Record<string, number>>
  metadata?: Readonly<Record<string, string>>
}

export function makeModel(graph: GraphProto, options: Omit<ModelOptions, 'name'> = {}): ModelProto {
  const { opset = 18, domains = {}, metadata = {} } = options
  return create(ModelProtoSchema, {
    irVersion: 8n, // the version that opset 18 came with (ONNX 1.13)
    producerName: 'decant',
    opsetImport: Object.entries({ '': opset, ...domains }).map(([domain, version]) =>
      create(OperatorSetIdProtoSchema, { domain, version: BigInt(version) }),
    ),
    metadataProps: Object.entries(metadata).map(([key, value]) => create(StringStringEntryProtoSchema, { key, value })),
    graph,
  })
}

export function encodeModel(proto: ModelProto): Uint8Array {
  return toBinary(ModelProtoSchema, proto)
}

export interface NodeDescription {
  op: string
  inputs: readonly string[]
  outputs: readonly string[]
  attributes?: Attributes
  domain?: string
}

export function makeNode({ op, inputs, outputs, attributes = {}, domain = '' }: NodeDescription): NodeProto {
  return create(NodeProtoSchema, {
    opType: op,
    domain,
    name: `${op}:${outputs[0]}`,
    input: [...inputs],
    output: [...outputs],
    attribute: Object.entries(attributes).flatMap(([name, value]) =>
      value === undefined ? [] : [makeAttribute(name, value)],
    ),
  })
}

export function makeAttribute(name: string, value: Attribute): AttributeProto {
  const utf8 = (text: string) => new TextEncoder().encode(text)
  const of = (type: AttributeType, fields: Partial<Omit<AttributeProto, '$typeName'>>) =>
    create(AttributeProtoSchema, { name, type, ...fields })
  if (typeof value === 'number') return of(AttributeType.INT, { i: BigInt(value) })
  if (typeof value === 'string') return of(AttributeType.STRING, { s: utf8(value) })
  if ('float' in value) return of(AttributeType.FLOAT, { f: value.float })
  if ('floats' in value) return of(AttributeType.FLOATS, { floats: [...value.floats] })
  if ('strings' in value) return of(AttributeType.STRINGS, { strings: value.strings.map(utf8) })
  if ('graph' in value) return of(AttributeType.GRAPH, { g: value.graph })
  if ('tensor' in value) return of(AttributeType.TENSOR, { t: value.tensor })
  return of(AttributeType.INTS, { ints: value.map(BigInt) })
}

export interface TensorDescription {
  name: string
  dtype: ElementName
  dims: readonly number[]
  /** Little-endian, row-major. */
  bytes: Uint8Array<ArrayBuffer>
}

export function makeTensor({ name, dtype, dims, bytes }: TensorDescription): TensorProto {
  return create(TensorProtoSchema, { name, dataType: elementTypes[dtype], dims: dims.map(BigInt), rawData: bytes })
}

export function makeValueInfo(name: string, dtype: ElementName, shape: readonly Dimension[]): ValueInfoProto {
  const dim = shape.map((d) =>
    create(TensorShapeProto_DimensionSchema, {
      value:
        typeof d === 'number'
          ? { case: 'dimValue', value: BigInt(d) }
          : typeof d === 'string'
            ? { case: 'dimParam', value: d }
            : { case: undefined },
    }),
  )
  const tensor = create(TypeProto_TensorSchema, {
    elemType: elementTypes[dtype],
    shape: create(TensorShapeProtoSchema, { dim }),
  })
  return create(ValueInfoProtoSchema, {
    name,
    type: create(TypeProtoSchema, { value: { case: 'tensorType', value: tensor } }),
  })
}
