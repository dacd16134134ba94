import { random } from '../random.js'
import type { StudentConfig } from './config.js'
import { type Dataset, gather } from './dataset.js'
import { learningRateAt } from './schedule.js'

/** The inputs of training step 0, 1, …, as `trainInputs` declares them. */
export interface Batches {
  perEpoch: number
  /** Fills and gives the one set of buffers; `weight` is Σ weights. They hold until the next call. */
  at(step: number): { inputs: Record<string, ArrayBufferView>; weight: number; learningRate: number }
}

/**
 * Each epoch is a permutation of `rows` drawn from (seed, epoch) alone, cut into batches; what the last one lacks is filled with
 * rows of weight 0.
 */
export function createBatches(dataset: Dataset, rows: Uint32Array, config: StudentConfig): Batches {
  const { batch, seed, epochs, schedule, learningRate: base } = config
  const width = dataset.pixels.length / dataset.rows
  const perEpoch = Math.ceil(rows.length / batch)
  const inputs = {
    pixels: new Uint8Array(batch * width),
    logits: new Float32Array(batch * dataset.classes),
    labels: new Int32Array(batch),
    weights: new Float32Array(batch),
    learningRate: new Float32Array(1),
    temperature: Float32Array.of(config.temperature),
    alpha: Float32Array.of(config.alpha),
    step: new Float32Array(1),
  }
  let [epoch, order] = [-1, rows]
  return {
    perEpoch,
    at(step) {
      if (epoch !== Math.floor(step / perEpoch)) {
        epoch = Math.floor(step / perEpoch)
        order = random(seed, 'shuffle', epoch)
          .permutation(rows.length)
          .map((i) => rows[i]!)
      }
      const start = (step % perEpoch) * batch
      const some = order.subarray(start, start + batch)
      gather(dataset.pixels, { width, rows: some, into: inputs.pixels })
      gather(dataset.logits, { width: dataset.classes, rows: some, into: inputs.logits })
      gather(dataset.labels, { width: 1, rows: some, into: inputs.labels })
      inputs.weights.fill(1, 0, some.length).fill(0, some.length)
      const learningRate = learningRateAt(step, { schedule, base, steps: epochs * perEpoch })
      inputs.learningRate[0] = learningRate
      inputs.step[0] = step
      return { inputs, weight: some.length, learningRate }
    },
  }
}
