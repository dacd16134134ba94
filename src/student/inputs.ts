import * as tf from '@tensorflow/tfjs-core'
import type { InputSpec } from '../engine/engine.js'
import type { Inputs } from '../source/index.js'
import { createApply, openViews } from '../source/views/index.js'
import { gather } from './gather.js'

/** What one row is to a student. */
export interface StudentInput {
  /**
   * `image`: uint8 in the dataset, (x·scale - mean)/std in float32 to the model; `features`: float32, as they are;
   * `tokens`: int32 ids, -1 = padding, in the dataset, int32 id + 1 to the model, so that 0 = padding, as an embedding's mask has it.
   */
  kind: 'image' | 'features' | 'tokens'
  /** Of one row: [height, width, channels], any, [length]. */
  shape: number[]
  /** Of tokens: ids are 0 to vocabulary - 1, those of the tokenizer or the teacher, whether a row has them or not. */
  vocabulary?: number
}

/** The inputs of a dataset. Plain data, so that workers share it. */
export interface InputTable {
  /** [n, ...shape] of all rows; with `views`, [samples, ...shape]. */
  values: Inputs
  /** Rows are views of samples, made again whenever they are gathered: memory does not grow with the number of views. */
  views?: {
    parameters: string[]
    augment: object
    /** int32 [n, parameters], each such that it can be applied */
    params: Int32Array
  }
}

/** The parts of a dataset that a step's shapes and constants come from. */
export interface Domain {
  input: StudentInput
  /** Of images: what their bytes become is x·multiply + add per channel: (x·scale - mean)/std. */
  normalisation: { multiply: Float32Array; add: Float32Array } | null
}

/** The name of the step's input. */
export const inputNames = { image: 'pixels', features: 'features', tokens: 'tokens' } as const
export const inputTypes = { image: 'uint8', features: 'float32', tokens: 'int32' } as const
const arrays = { image: Uint8Array, features: Float32Array, tokens: Int32Array }

/** Values in one row. */
export const widthOf = ({ shape }: Pick<StudentInput, 'shape'>): number => shape.reduce((product, n) => product * n, 1)

export const describeInput = ({ kind, shape }: StudentInput): string =>
  kind === 'image' ? `images of ${shape.join('x')}` : `${kind} [${shape.join(', ')}]`

/** Room for `rows` rows. */
export function allocateInputs(input: StudentInput, rows: number, { shared = false } = {}): Inputs {
  return new arrays[input.kind](allocate(inputBytes(input, rows), shared))
}

/** Bytes of `rows` rows. */
export const inputBytes = (input: StudentInput, rows: number): number =>
  rows * widthOf(input) * arrays[input.kind].BYTES_PER_ELEMENT

/** Zeros; in memory that threads share where `shared`. */
export const allocate = (bytes: number, shared: boolean): ArrayBuffer =>
  (shared ? new SharedArrayBuffer(bytes) : new ArrayBuffer(bytes)) as ArrayBuffer

/** A step's input of B rows. */
export const inputSpec = ({ kind, shape }: StudentInput, batch: number): InputSpec => ({
  shape: [batch, ...shape],
  dtype: inputTypes[kind],
})

/** Makes the function that writes the inputs of some rows, one after another, into `into`. */
export function createGather(dataset: {
  input: StudentInput
  inputs: InputTable
  samples: Int32Array
}): (rows: Uint32Array, into: Inputs) => void {
  const { input, inputs, samples } = dataset
  const { values, views } = inputs
  const width = widthOf(input)
  if (!views) return (rows, into) => gather(values, { width, rows, into })
  const apply = createApply(openViews(views, { shape: input.shape as [number, number, number], where: 'views' }))
  const { params, parameters } = views
  const own = (table: Inputs, i: number, width: number) => table.subarray(i * width, (i + 1) * width)
  return (rows, into) => {
    for (const [i, row] of rows.entries()) {
      const pixels = own(values, samples[row]!, width) as Uint8Array
      apply(pixels, own(params, row, parameters.length), own(into, i, width) as Uint8Array)
    }
  }
}

/** What the model takes, of a step's input as it is fed, [B, ...shape]. */
export function prepareInput(x: tf.Tensor, { input, normalisation }: Domain): tf.Tensor {
  switch (input.kind) {
    case 'image': {
      const { multiply, add } = normalisation!
      return tf.add(tf.mul(tf.cast(x, 'float32'), tf.tensor1d(multiply)), tf.tensor1d(add))
    }
    case 'features':
      return x
    case 'tokens':
      return tf.add(x, tf.scalar(1, 'int32'))
  }
}
