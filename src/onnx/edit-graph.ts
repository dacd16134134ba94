import type { GraphProto, NodeProto, TensorProto, ValueInfoProto } from 'onnx-buf'
import { describeValue, type ValueInfo } from './describe-model.js'
import { nameOfElement } from './dtypes.js'
import { type GraphBuilder, makeNode } from './graph-builder.js'
import { elementsOf, tensorValues } from './tensor-values.js'
import { copyWith, graphsOf, mapAttributes, subgraphsOf } from './walk-graph.js'

/** Looks up what a graph says of its values; built once for a graph that does not change meanwhile. */
export class GraphIndex {
  readonly #producers = new Map<string, NodeProto>()
  readonly #infos = new Map<string, ValueInfo>()
  readonly #initializers: ReadonlyMap<string, TensorProto>

  constructor(graph: GraphProto) {
    this.#initializers = new Map(graph.initializer.map((tensor) => [tensor.name, tensor]))
    for (const node of graph.node) for (const output of node.output) if (output) this.#producers.set(output, node)
    for (const info of [...graph.valueInfo, ...graph.input, ...graph.output]) {
      this.#infos.set(info.name, describeValue(info))
    }
  }

  /** The node that computes a value; undefined for inputs and initializers. */
  producer(value: string | undefined): NodeProto | undefined {
    return value === undefined ? undefined : this.#producers.get(value)
  }

  /** Type and shape where the model declares them. */
  info(value: string | undefined): ValueInfo | undefined {
    return value === undefined ? undefined : this.#infos.get(value)
  }

  /** Shape of an initializer or a Constant node's output; undefined for what is computed. */
  constantShape(value: string): number[] | undefined {
    const node = this.#producers.get(value)
    if (node?.opType === 'Constant' && !attributeOf(node, 'value')) {
      const [attribute] = node.attribute
      return attribute?.name === 'value_ints' || attribute?.name === 'value_floats'
        ? [attribute.ints.length + attribute.floats.length]
        : []
    }
    return this.#tensor(value)?.dims.map(Number)
  }

  /** Values of an integer constant; undefined for what is computed. */
  integers(value: string | undefined): number[] | undefined {
    if (!value) return undefined
    const node = this.#producers.get(value)
    const tensor = this.#tensor(value)
    if (!tensor) return node?.opType === 'Constant' ? integersOf(node, 'value_ints') : undefined
    return ['int64', 'int32'].includes(nameOfElement(tensor.dataType)) ? tensorValues(tensor) : undefined
  }

  /**
   * Values of a small constant of any number type, also of one that is cast, reshaped or quantized; undefined for what is computed,
   * and for weights.
   */
  numbers(value: string | undefined, depth = 0): number[] | undefined {
    const tensor = value ? this.#tensor(value) : undefined
    if (tensor) return elementsOf(tensor) > MAX_CONSTANT_VALUES ? undefined : tensorValues(tensor)
    const node = this.producer(value)
    const of = (i: number) => this.numbers(node?.input[i], depth + 1)
    if (!node || depth > MAX_CONSTANT_NODES) return undefined
    switch (node.opType) {
      case 'Constant': {
        const [attribute] = node.attribute
        if (attribute?.name === 'value_float') return [attribute.f]
        return attribute?.name === 'value_floats' ? attribute.floats : undefined
      }
      case 'Cast':
      case 'Identity':
      case 'Reshape':
      case 'Squeeze':
      case 'Unsqueeze':
      case 'Expand':
        return of(0)
      case 'DequantizeLinear': {
        const from = this.producer(node.input[0])
        if (from?.opType === 'QuantizeLinear') return this.numbers(from.input[0], depth + 2)
        const [q, [scale] = [], [zero] = [0]] = [of(0), of(1), of(2)]
        return scale === undefined ? undefined : q?.map((step) => (step - zero!) * scale)
      }
      default:
        return undefined
    }
  }

  /** Values of a constant of texts; undefined for what is computed. */
  texts(value: string): string[] | undefined {
    const [tensor, node] = [this.#tensor(value), this.#producers.get(value)]
    if (tensor) return tensor.stringData.length > 0 ? decodeTexts(tensor.stringData) : undefined
    return node?.opType === 'Constant' ? stringsOf(node, 'value_strings') : undefined
  }

  isConstant(value: string): boolean {
    return this.constantShape(value) !== undefined
  }

  #tensor(value: string): TensorProto | undefined {
    const node = this.#producers.get(value)
    return node?.opType === 'Constant' ? attributeOf(node, 'value')?.t : this.#initializers.get(value)
  }
}

/** Nodes between a constant and its use, at most: graphs of strangers may run in circles. */
const MAX_CONSTANT_NODES = 8
const MAX_CONSTANT_VALUES = 4096

const attributeOf = (node: NodeProto, name: string) => node.attribute.find((attribute) => attribute.name === name)

export function integerOf(node: NodeProto, name: string): number | undefined {
  const attribute = attributeOf(node, name)
  return attribute && Number(attribute.i)
}

export function integersOf(node: NodeProto, name: string): number[] | undefined {
  return attributeOf(node, name)?.ints.map(Number)
}

export function stringOf(node: NodeProto, name: string): string | undefined {
  const attribute = attributeOf(node, name)
  return attribute && new TextDecoder().decode(attribute.s)
}

export function stringsOf(node: NodeProto, name: string): string[] | undefined {
  const attribute = attributeOf(node, name)
  return attribute && decodeTexts(attribute.strings)
}

const decodeTexts = (texts: readonly Uint8Array[]) => texts.map((text) => new TextDecoder().decode(text))

/** The operator's name, with its domain unless that is the default one. */
export function operatorOf({ domain, opType }: NodeProto): string {
  return domain === '' || domain === 'ai.onnx' ? opType : `${domain}.${opType}`
}

/** A node for a message: its first output, since many have no name, and its operator. */
export function printNode(node: NodeProto): string {
  return `node '${node.output[0]}' (${operatorOf(node)})`
}

/** Gives values other names, everywhere they are mentioned; SSA form makes one name one value in subgraphs as well. */
export function renameValues(graph: GraphProto, names: ReadonlyMap<string, string>): GraphProto {
  if (names.size === 0) return graph
  const rename = (name: string) => names.get(name) ?? name
  const renamed = <T extends ValueInfoProto | GraphProto['initializer'][number]>(item: T): T =>
    names.has(item.name) ? (copyWith<never>(item as never, { name: rename(item.name) } as never) as T) : item
  const renameNode = (node: NodeProto): NodeProto =>
    copyWith(
      mapAttributes(node, (attribute) =>
        subgraphsOf(node).length === 0
          ? attribute
          : copyWith(attribute, {
              g: attribute.g && renameValues(attribute.g, names),
              graphs: attribute.graphs.map((inner) => renameValues(inner, names)),
            }),
      ),
      { input: node.input.map(rename), output: node.output.map(rename) },
    )
  return copyWith(graph, {
    node: graph.node.map(renameNode),
    input: graph.input.map(renamed),
    output: graph.output.map(renamed),
    valueInfo: graph.valueInfo.map(renamed),
    initializer: graph.initializer.map(renamed),
    sparseInitializer: graph.sparseInitializer.map((sparse) =>
      copyWith(sparse, { values: sparse.values && renamed(sparse.values) }),
    ),
    quantizationAnnotation: graph.quantizationAnnotation.map((note) =>
      copyWith(note, {
        tensorName: rename(note.tensorName),
        quantParameterTensorNames: note.quantParameterTensorNames.map((entry) =>
          copyWith(entry, { value: rename(entry.value) }),
        ),
      }),
    ),
  })
}

/**
 * Nodes that a builder collected, its constants as Constant nodes: those are valid in every IR version. Without names of
 * their own, which could be those of the model's nodes.
 */
export function builtNodes(builder: GraphBuilder): NodeProto[] {
  const constants = builder.initializers.map((tensor) =>
    makeNode({ op: 'Constant', inputs: [], outputs: [tensor.name], attributes: { value: { tensor } } }),
  )
  return [...constants, ...builder.nodes].map((node) => copyWith(node, { name: '' }))
}

/** Leaves out what no output depends on: nodes, weights, inputs. */
export function pruneGraph(graph: GraphProto): GraphProto {
  const needed = new Set(graph.output.map(({ name }) => name))
  const node = graph.node
    .toReversed()
    .filter((candidate) => {
      const keep = candidate.output.some((name) => needed.has(name))
      if (keep) for (const name of readBy(candidate)) needed.add(name)
      return keep
    })
    .reverse()
  return copyWith(graph, {
    node,
    input: graph.input.filter(({ name }) => needed.has(name)),
    initializer: graph.initializer.filter(({ name }) => needed.has(name)),
    sparseInitializer: graph.sparseInitializer.filter(({ values }) => needed.has(values?.name ?? '')),
    valueInfo: graph.valueInfo.filter(({ name }) => needed.has(name)),
    quantizationAnnotation: graph.quantizationAnnotation.filter(({ tensorName }) => needed.has(tensorName)),
  })
}

/** What a node reads: its inputs, and what its subgraphs take from outside. */
export function readBy(node: NodeProto): string[] {
  const inner = subgraphsOf(node)
    .flatMap(graphsOf)
    .flatMap((graph) => [...graph.node.flatMap((n) => n.input), ...graph.output.map(({ name }) => name)])
  return [...node.input, ...inner]
}
