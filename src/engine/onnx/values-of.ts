import { type Data, sizeOf, splatOf, type Value } from './ir.js'

/** The elements of a value that is the same at every run. */
export function valuesOf(value: Value): Data | undefined {
  const { data } = value.node
  if (data) return data
  const splat = value.node.op === 'Expand' ? splatOf(value.node.inputs[0]!) : undefined
  if (splat === undefined) return undefined
  const arrays = { float32: Float32Array, int32: Int32Array }
  const array = value.dtype === 'float32' || value.dtype === 'int32' ? arrays[value.dtype] : Uint8Array
  return new array(sizeOf(value.shape)).fill(splat)
}
