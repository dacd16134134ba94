import * as tf from '@tensorflow/tfjs-core'
import { type LayersModel, model as makeModel, type SymbolicTensor } from '@tensorflow/tfjs-layers'
import { DecantError } from '../errors.js'
import type { Method } from './method.js'

/** What a student makes of B rows. */
export interface StudentOutputs {
  /** float32 [B, C], raw; of sequences B·L rows, one for each position */
  logits: tf.Tensor2D
  /** What the last layer makes the logits of, float32 [B, F]. Only for methods that need it. */
  features: tf.Tensor2D
  /** Outputs of the layers stage1, stage2, …: float32 [B, h, w, c] each. Only for methods that need them. */
  stages: tf.Tensor4D[]
}

export interface StudentShapes {
  features: number
  stages: [height: number, width: number, channels: number][]
}

/** Where a student's features and stages are. */
export interface Taps {
  features: SymbolicTensor
  stages: SymbolicTensor[]
}

/** @throws DecantError where the method needs what the student does not have */
export function findTaps(
  model: LayersModel,
  { student, method }: { student: string; method: Method },
): Taps | undefined {
  const { student: needed } = method.needs
  if (!needed) return undefined
  const fail = (expected: string) =>
    new DecantError(`student ${student}: method '${method.name}' looks into it: expected ${expected}`)
  const features = model.layers.at(-1)!.input as SymbolicTensor
  if (features.shape?.length !== 2) throw fail('a dense layer as its last')
  if (needed === 'features') return { features, stages: [] }
  const stages: SymbolicTensor[] = []
  for (;;) {
    const layer = model.layers.find(({ name }) => name === `stage${stages.length + 1}`)
    if (!layer) break
    stages.push(layer.output as SymbolicTensor)
  }
  if (stages.length < 2) throw fail('layers named stage1, stage2, …, as resnet, mobilenet and cnn have')
  const other = stages.find(({ shape }) => shape.length !== 4 || shape.slice(1).some((n) => n === null))
  if (other) throw fail(`[N, height, width, channels] of each stage, found [${other.shape}]`)
  return { features, stages }
}

export const shapesOf = (taps: Taps | undefined): StudentShapes => ({
  features: taps?.features.shape[1] ?? 0,
  stages: (taps?.stages ?? []).map(({ shape }) => shape.slice(1) as [number, number, number]),
})

/** The student in training: normalised inputs [B, H, W, C] to its outputs. */
export function createForward(model: LayersModel, taps?: Taps): (x: tf.Tensor) => StudentOutputs {
  if (!taps) {
    const logits = (x: tf.Tensor) => asRows(model.apply(x, { training: true }) as tf.Tensor)
    return (x) => ({
      logits: logits(x),
      get stages() {
        return refuse()
      },
      get features() {
        return refuse()
      },
    })
  }
  // The same layers, and so the same weights.
  const { stages, features } = taps
  const tapped = makeModel({ inputs: model.inputs, outputs: [model.outputs[0]!, features, ...stages] })
  return (x) => {
    const [logits, features, ...stages] = tapped.apply(x, { training: true }) as tf.Tensor[]
    return { logits: logits as tf.Tensor2D, features: features as tf.Tensor2D, stages: stages as tf.Tensor4D[] }
  }
}

/** Logits by position, [B, L, C], as rows [B·L, C]. */
const asRows = (logits: tf.Tensor): tf.Tensor2D =>
  (logits.rank === 3 ? tf.reshape(logits, [-1, logits.shape[2]!]) : logits) as tf.Tensor2D

function refuse(): never {
  throw new DecantError("the method looks into the student, and its `needs.student` doesn't say so")
}
