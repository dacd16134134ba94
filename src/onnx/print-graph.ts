import {
  type AttributeProto,
  AttributeProto_AttributeType as AttributeType,
  type GraphProto,
  type ModelProto,
  type TensorProto,
  type ValueInfoProto,
} from 'onnx-buf'
import { nameOfElement } from './dtypes.js'
import { tensorValues } from './tensor-values.js'

/**
 * A graph as text, one line a node, in the order in which it runs; subgraphs are indented below their node.
 *
 *     step(x: float32[128,784], w: float32[784,10]) {
 *       b: float32[10] = [0, 0, 0, ...]
 *       gemm = Gemm(x, w, b) transB=0
 *       -> gemm: float32[128,10]
 *     }
 */
export function printGraph(source: ModelProto | GraphProto): string {
  const graph = source.$typeName === 'onnx.ModelProto' ? source.graph : source
  return graph ? printLines(graph, '').join('\n') : '(no graph)'
}

function printLines(graph: GraphProto, indent: string): string[] {
  const inner = `${indent}  `
  const initialised = new Set(graph.initializer.map((tensor) => tensor.name))
  const inputs = graph.input.filter((input) => !initialised.has(input.name))
  return [
    `${indent}${graph.name || 'graph'}(${inputs.map(printValue).join(', ')}) {`,
    ...graph.initializer.map((tensor) => `${inner}${printConstant(tensor)}`),
    ...graph.node.flatMap((node) => {
      const domain = node.domain && node.domain !== 'ai.onnx' ? `${node.domain}.` : ''
      const attributes = node.attribute.map((a) => ` ${a.name}=${printAttribute(a)}`).join('')
      const call = `${domain}${node.opType}(${node.input.map((name) => name || '-').join(', ')})`
      const subgraphs = node.attribute.flatMap((a) => (a.g ? [a.g] : a.graphs))
      return [
        `${inner}${node.output.map((name) => name || '-').join(', ')} = ${call}${attributes}`,
        ...subgraphs.flatMap((subgraph) => printLines(subgraph, `${inner}  `)),
      ]
    }),
    ...graph.output.map((output) => `${inner}-> ${printValue(output)}`),
    `${indent}}`,
  ]
}

function printValue(info: ValueInfoProto): string {
  if (info.type?.value.case !== 'tensorType') return `${info.name}: ${info.type?.value.case ?? '?'}`
  const { elemType, shape } = info.type.value.value
  const dims = shape ? `[${shape.dim.map((d) => d.value.value ?? '?').join(',')}]` : '[...]'
  return `${info.name}: ${nameOfElement(elemType)}${dims}`
}

function printConstant(tensor: TensorProto): string {
  const values = tensorValues(tensor, shownValues)?.map((v) =>
    Number.isInteger(v) ? `${v}` : `${Number(v.toPrecision(6))}`,
  )
  const size = tensor.dims.reduce((n, d) => n * Number(d), 1)
  const more = values && values.length < size ? ', ...' : ''
  const shown = values ? ` = [${values.join(', ')}${more}]` : ''
  return `${tensor.name}: ${nameOfElement(tensor.dataType)}[${tensor.dims.join(',')}]${shown}`
}

const shownValues = 6

function printAttribute(attribute: AttributeProto): string {
  switch (attribute.type) {
    case AttributeType.INT:
      return `${attribute.i}`
    case AttributeType.INTS:
      return `[${attribute.ints.join(',')}]`
    case AttributeType.FLOAT:
      return `${Number(attribute.f.toPrecision(6))}`
    case AttributeType.FLOATS:
      return `[${attribute.floats.map((f) => Number(f.toPrecision(6))).join(',')}]`
    case AttributeType.STRING:
      return new TextDecoder().decode(attribute.s)
    case AttributeType.STRINGS:
      return `[${attribute.strings.map((s) => new TextDecoder().decode(s)).join(',')}]`
    case AttributeType.TENSOR:
      return attribute.t ? printConstant({ ...attribute.t, name: 'tensor' }) : 'tensor'
    case AttributeType.GRAPH:
      return attribute.g?.name || 'graph'
    default:
      return AttributeType[attribute.type] ?? '?'
  }
}
