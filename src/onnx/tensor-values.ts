import type { TensorProto } from 'onnx-buf'
import { elementBytes, nameOfElement } from './dtypes.js'
import { widenHalves } from './float16.js'

/** How many values a tensor's shape declares. */
export const elementsOf = ({ dims }: TensorProto): number => dims.reduce((product, dim) => product * Number(dim), 1)

/**
 * The first values of a tensor, at most `most`, as numbers; integers are exact up to 2⁵³. They lie in `raw_data` or in the field of their type
 * (onnx.proto3, TensorProto). Undefined for types that are rare as constants, and for data in a file of its own.
 */
export function tensorValues(tensor: TensorProto, most = Number.POSITIVE_INFINITY): number[] | undefined {
  const { rawData: raw } = tensor
  const dtype = nameOfElement(tensor.dataType)
  if (raw.length === 0) return fieldOf(tensor, dtype)?.slice(0, most)
  const view = new DataView(raw.buffer, raw.byteOffset, raw.byteLength)
  const read = (bytes: number, at: (offset: number) => number) =>
    Array.from({ length: Math.min(most, Math.floor(raw.length / bytes)) }, (_, i) => at(i * bytes))
  switch (dtype) {
    case 'float32':
      return read(elementBytes[dtype], (offset) => view.getFloat32(offset, true))
    case 'float64':
      return read(elementBytes[dtype], (offset) => view.getFloat64(offset, true))
    case 'float16':
      return [...widenHalves(Uint16Array.from(read(elementBytes[dtype], (offset) => view.getUint16(offset, true))))]
    case 'int64':
      return read(elementBytes[dtype], (offset) => Number(view.getBigInt64(offset, true)))
    case 'int32':
      return read(elementBytes[dtype], (offset) => view.getInt32(offset, true))
    case 'int8':
      return read(elementBytes[dtype], (offset) => view.getInt8(offset))
    case 'uint8':
    case 'bool':
      return read(elementBytes[dtype], (offset) => view.getUint8(offset))
    default:
      return undefined
  }
}

function fieldOf(tensor: TensorProto, dtype: string): number[] | undefined {
  const whole = (values: number[]) => (values.length === elementsOf(tensor) ? values : undefined)
  switch (dtype) {
    case 'float32':
      return whole([...tensor.floatData])
    case 'float64':
      return whole([...tensor.doubleData])
    case 'float16':
      return whole([...widenHalves(Uint16Array.from(tensor.int32Data))])
    case 'int64':
      return whole(tensor.int64Data.map(Number))
    case 'int32':
    case 'int8':
    case 'uint8':
    case 'bool':
      return whole([...tensor.int32Data])
    default:
      return undefined
  }
}
