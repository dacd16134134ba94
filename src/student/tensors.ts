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
  const byName = new Map(tensors.map((tensor) => [tensor.name, tensor]))
  variables.forEach((variable, i) => {
    const found = byName.get(`${prefix}/${i}`)
    if (!found || found.shape.join() !== variable.shape.join()) {
      throw new FormatError(
        `tensor ${prefix}/${i}: expected [${variable.shape}], found ${found ? `[${found.shape}]` : 'none'}`,
      )
    }
    const value = tf.tensor(found.values, found.shape)
    variable.assign(value)
    value.dispose()
  })
}
