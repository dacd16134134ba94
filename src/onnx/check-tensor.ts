import type { TensorProto } from 'onnx-buf'
import { elementBytes, nameOfElement } from './dtypes.js'
import { isExternal } from './external-data.js'

/** The field that holds the values of a type where `raw_data` does not (onnx.proto3, TensorProto). */
const typedFields = {
  float32: 'floatData',
  float64: 'doubleData',
  float16: 'int32Data',
  bfloat16: 'int32Data',
  uint8: 'int32Data',
  int8: 'int32Data',
  uint16: 'int32Data',
  int16: 'int32Data',
  int32: 'int32Data',
  bool: 'int32Data',
  int64: 'int64Data',
  uint32: 'uint64Data',
  uint64: 'uint64Data',
} as const

/** How a tensor's data contradicts its declared shape, in a few words; undefined where they agree. */
export function findTensorFault(tensor: TensorProto): string | undefined {
  const dtype = nameOfElement(tensor.dataType) as keyof typeof typedFields
  const shape = `${dtype}[${tensor.dims.join(',')}]`
  if (tensor.dims.some((dim) => dim < 0n)) return `expected no negative size, found ${shape}`
  const field = typedFields[dtype]
  const elements = tensor.dims.reduce((product, dim) => product * dim, 1n)
  if (!field || isExternal(tensor)) return undefined // types of 4 bits and strings: ONNX Runtime checks them
  const found = tensor.rawData.length > 0 ? BigInt(tensor.rawData.length) : BigInt(tensor[field].length)
  const [unit, expected] =
    tensor.rawData.length > 0 ? ['bytes', elements * BigInt(elementBytes[dtype])] : ['values', elements]
  return found === expected ? undefined : `expected ${expected} ${unit} for ${shape}, found ${found}`
}
