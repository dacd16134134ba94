import { TensorProto_DataType as DataType } from 'onnx-buf'

/** Element types by the names that ONNX Runtime's JavaScript API gives them. */
export const elementTypes = {
  float32: DataType.FLOAT,
  float64: DataType.DOUBLE,
  float16: DataType.FLOAT16,
  bfloat16: DataType.BFLOAT16,
  uint8: DataType.UINT8,
  int8: DataType.INT8,
  uint16: DataType.UINT16,
  int16: DataType.INT16,
  uint32: DataType.UINT32,
  int32: DataType.INT32,
  uint64: DataType.UINT64,
  int64: DataType.INT64,
  bool: DataType.BOOL,
  string: DataType.STRING,
} as const

export type ElementName = keyof typeof elementTypes

/** `TensorProto.DataType` to a name; a type that has none here is named by its number. */
export function nameOfElement(type: number): string {
  return Object.entries(elementTypes).find(([, value]) => value === type)?.[0] ?? `type ${type}`
}

/** Bytes of one element, in `raw_data`; strings have no raw form. */
export const elementBytes: Record<Exclude<ElementName, 'string'>, number> = {
  float32: 4,
  float64: 8,
  float16: 2,
  bfloat16: 2,
  uint8: 1,
  int8: 1,
  uint16: 2,
  int16: 2,
  uint32: 4,
  int32: 4,
  uint64: 8,
  int64: 8,
  bool: 1,
}
