import * as tf from '@tensorflow/tfjs-core'
import type { LayersModel, layers } from '@tensorflow/tfjs-layers'
import { useBackend } from '../engine/eager.js'
import { DecantError } from '../errors.js'
import { random } from '../random.js'
import type { StudentInput } from './inputs.js'

/** Rows of noise that a student is asked about. */
const ROWS = 4

/**
 * Losses take a student's outputs for raw logits: one that gives probabilities would learn something else without a word. A softmax is seen in the
 * numbers, wherever it is computed; a sigmoid by its name.
 * @throws DecantError
 */
export async function checkLogits(student: string, model: LayersModel, input: StudentInput): Promise<void> {
  const fail = (last: string) =>
    new DecantError(
      `student ${student}: it ends in a ${last}: expected raw logits: leave the activation of its last layer out`,
    )
  if (/sigmoid/i.test(lastActivation(model))) throw fail('sigmoid')
  await useBackend('cpu') // which has every kernel
  const [values, classes] = tf.tidy(() => {
    const outputs = model.apply(noise(input), { training: false }) as tf.Tensor
    return [outputs.dataSync(), outputs.shape.at(-1)!]
  })
  const rows = Array.from({ length: values.length / classes }, (_, i) => [
    ...values.subarray(i * classes, (i + 1) * classes),
  ])
  const isDistribution = (row: number[]) =>
    row.every((x) => x >= 0) && Math.abs(row.reduce((sum, x) => sum + x, 0) - 1) < 1e-4
  if (rows.every(isDistribution)) throw fail('softmax')
}

function noise({ kind, shape, vocabulary = 1 }: StudentInput): tf.Tensor {
  const { normal, below } = random('noise')
  const sizes = [ROWS, ...shape]
  const length = tf.util.sizeFromShape(sizes)
  return kind === 'tokens'
    ? tf.tensor(
        Int32Array.from({ length }, () => 1 + below(vocabulary)),
        sizes,
        'int32',
      )
    : tf.tensor(Float32Array.from({ length }, normal), sizes)
}

/** The name of what the last layer applies to its outputs; '' where it has no activation. */
function lastActivation(model: LayersModel): string {
  let layer: Partial<LayersModel> & { layer?: layers.Layer; activation?: { getClassName(): string } } = model
  for (;;) {
    const inner = layer.outputs?.[0]?.sourceLayer ?? layer.layer // of a model, of a wrapper
    if (!inner) return layer.activation?.getClassName() ?? ''
    layer = inner as unknown as typeof layer
  }
}
