import type { Message } from '@bufbuild/protobuf'
import type { AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto } from 'onnx-buf'

/**
 * A shallow copy of a protobuf message with other values for some fields. Not `{ ...message }`: a field that is not set
 * has its default from the prototype, which a spread loses.
 */
export function copyWith<M extends Message>(message: M, changes: Partial<Omit<M, '$typeName' | '$unknown'>>): M {
  return Object.assign(Object.create(Object.getPrototypeOf(message)), message, changes)
}

/** Graphs in a node's attributes: branches of If, bodies of Loop and Scan. */
export function subgraphsOf(node: NodeProto): GraphProto[] {
  return node.attribute.flatMap((attribute) => (attribute.g ? [attribute.g, ...attribute.graphs] : attribute.graphs))
}

/** A graph and all graphs inside it. */
export function graphsOf(graph: GraphProto): GraphProto[] {
  return [graph, ...graph.node.flatMap((node) => subgraphsOf(node).flatMap(graphsOf))]
}

/** Every name that a value has anywhere in the graph or below: what a new name must avoid. */
export function valueNames(graph: GraphProto): Set<string> {
  const names = new Set<string>()
  for (const { node, input, output, initializer, sparseInitializer } of graphsOf(graph)) {
    for (const { name } of [...input, ...output, ...initializer]) names.add(name)
    for (const { values } of sparseInitializer) names.add(values?.name ?? '')
    for (const name of node.flatMap((n) => [...n.input, ...n.output])) names.add(name)
  }
  return names
}

/** All tensors with data: initializers, sparse ones, and attributes, in subgraphs and local functions too. */
export function tensorsOf(proto: ModelProto): TensorProto[] {
  const tensors: TensorProto[] = []
  mapTensors(proto, (tensor) => {
    tensors.push(tensor)
    return tensor
  })
  return tensors
}

/** A copy of the model with each tensor replaced; everything else is shared. */
export function mapTensors(proto: ModelProto, map: (tensor: TensorProto) => TensorProto): ModelProto {
  const mapSparse = (sparse: GraphProto['sparseInitializer'][number]) =>
    copyWith(sparse, {
      values: sparse.values && map(sparse.values),
      indices: sparse.indices && map(sparse.indices),
    })
  const mapNode = (node: NodeProto) => (node.attribute.length === 0 ? node : mapAttributes(node, mapAttribute))
  const mapAttribute = (attribute: AttributeProto) =>
    copyWith(attribute, {
      t: attribute.t && map(attribute.t),
      tensors: attribute.tensors.map(map),
      sparseTensor: attribute.sparseTensor && mapSparse(attribute.sparseTensor),
      sparseTensors: attribute.sparseTensors.map(mapSparse),
      g: attribute.g && mapGraph(attribute.g),
      graphs: attribute.graphs.map(mapGraph),
    })
  const mapGraph = (graph: GraphProto): GraphProto =>
    copyWith(graph, {
      node: graph.node.map(mapNode),
      initializer: graph.initializer.map(map),
      sparseInitializer: graph.sparseInitializer.map(mapSparse),
    })
  return copyWith(proto, {
    graph: proto.graph && mapGraph(proto.graph),
    functions: proto.functions.map((f) => copyWith(f, { node: f.node.map(mapNode) })),
  })
}

/** A copy of the node with each attribute replaced. */
export function mapAttributes(node: NodeProto, map: (attribute: AttributeProto) => AttributeProto): NodeProto {
  return copyWith(node, { attribute: node.attribute.map(map) })
}
