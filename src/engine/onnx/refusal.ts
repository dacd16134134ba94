import { InferenceSession } from 'onnxruntime-node'
import { UnavailableError } from '../../errors.js'
import { encodeModel, GraphBuilder } from '../../onnx/graph-builder.js'
import { explainWebgpu, isFallback } from '../../onnx/webgpu.js'
import { encode } from './encode.js'
import { Graph, type Node, sortNodes } from './ir.js'
import type { Outputs } from './passes/rewrite.js'

export interface Refused {
  provider: string
  values: Outputs
  session: InferenceSession.SessionOptions
}

/** Says why the runtime refused a step's graph: the provider's lack of a device, or the operators that it has no kernel for. */
export async function explainRefusal(error: unknown, { provider, values, session }: Refused): Promise<Error> {
  const reason = (error as Error).message
  if (!isFallback(reason)) return new UnavailableError(`engine onnx: provider ${provider}: ${explainWebgpu(reason)}`)
  const missing = new Set<string>()
  for (const node of sortNodes(Object.values(values))) {
    if (node.inputs.length > 0 && !(await runsAlone(node, session))) missing.add(signature(node))
  }
  return new UnavailableError(
    `engine onnx: provider ${provider} has no kernel for ${[...missing].join(', ') || 'part of the step'}; use provider cpu`,
  )
}

const signature = ({ op, inputs }: Node) => `${op}(${inputs.map(({ dtype }) => dtype).join(', ')})`

/** Whether the provider takes a model of this one node. */
async function runsAlone(node: Node, options: InferenceSession.SessionOptions): Promise<boolean> {
  const graph = new Graph()
  const builder = new GraphBuilder()
  const inputs = node.inputs.map((input, i) => {
    if (input.node.data) return graph.constant(input.node.data, input)
    builder.input(`x${i}`, input.dtype, input.shape)
    return graph.input('Input', `x${i}`, input)
  })
  const outputs = graph.emitAll(node.op, inputs, node.outputs, node.attributes)
  const names = encode(builder, outputs, ({ op, attributes }) => (op === 'Input' ? String(attributes.name) : undefined))
  for (const [i, value] of outputs.entries()) builder.output(`y${i}`, value.dtype, value.shape, names.get(value)!)
  try {
    const session = await InferenceSession.create(encodeModel(builder.model({ name: node.op })), options)
    await session.release()
    return true
  } catch (error) {
    return !isFallback((error as Error).message)
  }
}
