import type { Inputs } from '../engine/engine.js'
import { random } from '../random.js'
import type { StudentConfig } from './config.js'
import { type Dataset, gather } from './dataset.js'
import { learningRateAt } from './schedule.js'

/** The inputs of training step 0, 1, …, as `trainInputs` declares them. */
export interface Batches {
  perEpoch: number
  /** The most steps that `take` gives. */
  capacity: number
  /**
   * Gathers `count` steps of one epoch, one after another, into the one set of buffers, and gives what is filled of them. They hold
   * until the next call; `weights` is Σ weights of each step.
   */
  take(first: number, count: number): { inputs: Inputs; weights: number[]; learningRate: number }
}

/** At most so many steps at once: the cost of a call is nothing beside them. */
const CAPACITY = 64
/** Bytes of pixels in the buffers. */
const BUFFER = 32 * 2 ** 20

/**
 * Each epoch is a permutation of `rows` drawn from (seed, epoch) alone, cut into batches; what the last one lacks is filled with
 * rows of weight 0.
 */
export function createBatches(dataset: Dataset, rows: Uint32Array, config: StudentConfig): Batches {
  const { batch, seed, epochs, schedule, learningRate: base } = config
  const { classes } = dataset
  const width = dataset.pixels.length / dataset.rows
  const perEpoch = Math.ceil(rows.length / batch)
  const capacity = Math.max(1, Math.min(CAPACITY, perEpoch, Math.floor(BUFFER / (batch * width))))
  const buffers = {
    pixels: new Uint8Array(capacity * batch * width),
    logits: new Float32Array(capacity * batch * classes),
    labels: new Int32Array(capacity * batch),
    weights: new Float32Array(capacity * batch),
    learningRate: new Float32Array(capacity),
    temperature: new Float32Array(capacity).fill(config.temperature),
    alpha: new Float32Array(capacity).fill(config.alpha),
    step: new Float32Array(capacity),
  }
  let [epoch, order] = [-1, rows]
  return {
    perEpoch,
    capacity,
    take(first, count) {
      if (epoch !== Math.floor(first / perEpoch)) {
        epoch = Math.floor(first / perEpoch)
        order = random(seed, 'shuffle', epoch)
          .permutation(rows.length)
          .map((i) => rows[i]!)
      }
      const start = (first % perEpoch) * batch
      const some = order.subarray(start, start + count * batch)
      const { weights, learningRate, step } = buffers
      gather(dataset.pixels, { width, rows: some, into: buffers.pixels })
      gather(dataset.logits, { width: classes, rows: some, into: buffers.logits })
      gather(dataset.labels, { width: 1, rows: some, into: buffers.labels })
      weights.fill(1, 0, some.length).fill(0, some.length)
      for (let i = 0; i < count; i++) {
        learningRate[i] = learningRateAt(first + i, { schedule, base, steps: epochs * perEpoch })
        step[i] = first + i
      }
      const filled = Object.entries(buffers).map(([name, all]) => [
        name,
        all.subarray(0, (all.length / capacity) * count),
      ])
      return {
        inputs: Object.fromEntries(filled),
        weights: Array.from({ length: count }, (_, i) => Math.min(batch, some.length - i * batch)),
        learningRate: learningRate[count - 1]!,
      }
    },
  }
}
