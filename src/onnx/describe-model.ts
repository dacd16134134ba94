import type { GraphProto, ModelProto, ValueInfoProto } from 'onnx-buf'
import { nameOfElement } from './dtypes.js'
import type { Dimension } from './graph-builder.js'

export interface ValueInfo {
  name: string
  /** ONNX Runtime's name of the element type ('float32', 'uint8', …); 'sequence', 'map', … for what is no tensor. */
  dtype: string
  /** undefined: not even the rank is known. */
  shape: Dimension[] | undefined
}

export interface ModelDescription {
  /** What a run has to feed: initializers are not inputs, even where an old model lists them there. */
  inputs: ValueInfo[]
  outputs: ValueInfo[]
  /** Version of the default operator set; 0 where the model imports none. */
  opset: number
  /** Name and version of the tool that wrote the file. */
  producer: string
  metadata: Record<string, string>
}

export function describeModel({ proto }: { proto: ModelProto }): ModelDescription {
  return {
    inputs: fedInputs(proto.graph!).map(describeValue),
    outputs: proto.graph!.output.map(describeValue),
    opset: opsetOf(proto),
    producer: `${proto.producerName} ${proto.producerVersion}`.trim(),
    metadata: Object.fromEntries(proto.metadataProps.map(({ key, value }) => [key, value])),
  }
}

/** The inputs without a value of their own. Up to IR version 3 every initializer is listed as an input as well. */
export function fedInputs(graph: GraphProto): ValueInfoProto[] {
  const initialised = new Set([
    ...graph.initializer.map(({ name }) => name),
    ...graph.sparseInitializer.map(({ values }) => values?.name),
  ])
  return graph.input.filter(({ name }) => !initialised.has(name))
}

/** Version of an operator set; the default one goes by two names. */
export function opsetOf(proto: ModelProto, domain = ''): number {
  const found = proto.opsetImport.find((opset) => (opset.domain === 'ai.onnx' ? '' : opset.domain) === domain)
  return Number(found?.version ?? 0n)
}

export function describeValue({ name, type }: ValueInfoProto): ValueInfo {
  if (type?.value.case !== 'tensorType') {
    return { name, dtype: type?.value.case?.replace(/Type$/, '') ?? 'unknown', shape: undefined }
  }
  const { elemType, shape } = type.value.value
  return { name, dtype: nameOfElement(elemType), shape: shape?.dim.map(({ value }) => sizeOf(value)) }
}

function sizeOf(value: { case: string | undefined; value?: bigint | string }): Dimension {
  if (value.case === 'dimValue' && Number(value.value) >= 0) return Number(value.value)
  return value.case === 'dimParam' && value.value ? String(value.value) : null
}

/** A value for an error message: `probs: float32[N,10]`. */
export function printValueInfo({ name, dtype, shape }: ValueInfo): string {
  return `${name}: ${dtype}${shape ? printShape(shape) : ''}`
}

export function printShape(shape: readonly Dimension[]): string {
  return `[${shape.map((dim) => dim ?? '?').join(',')}]`
}
