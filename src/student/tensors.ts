import * as tf from '@tensorflow/tfjs-core'
import { FormatError } from '../errors.js'
import type { NamedTensor } from './safetensors.js'

/** Copies of the variables' values, named `prefix/0`, `prefix/1`, … */
export async function readVariables(variables: tf.Variable[], prefix: string): Promise<NamedTensor[]> {
  return Promise.all(
    variables.map(async (variable, i) => ({
      name: `${prefix}/${i}`,
      shape: variable.shape,
      values: Float32Array.from(await variable.data()),
    })),
  )
}

/** Assigns what {@link readVariables} gave. @throws FormatError where a tensor is missing or has another shape */
export function assignVariables(variables: tf.Variable[], prefix: string, tensors: NamedTensor[]): void {
  variables.forEach((variable, i) => {
    const value = tf.tensor(takeTensor(`${prefix}/${i}`, variable.shape, tensors), variable.shape)
    variable.assign(value)
    value.dispose()
  })
}

/** The values of one of them. @throws FormatError where it is missing or has another shape */
export function takeTensor(name: string, shape: readonly number[], tensors: NamedTensor[]): Float32Array {
  const found = tensors.find((tensor) => tensor.name === name)
  if (found?.shape.join() === shape.join()) return found.values
  throw new FormatError(`tensor ${name}: expected [${shape}], found ${found ? `[${found.shape}]` : 'none'}`)
}
