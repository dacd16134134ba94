import { arrays, type Inputs as StepInputs } from '../engine/engine.js'
import { random } from '../random.js'
import type { Inputs } from '../source/index.js'
import type { StudentConfig } from './config.js'
import type { Dataset } from './dataset.js'
import { gather } from './gather.js'
import { createGather, inputNames } from './inputs.js'
import type { Method } from './method.js'
import { createPartners } from './partners.js'
import { trainInputs } from './program.js'
import { learningRateAt } from './schedule.js'
import { inputOf } from './targets.js'

/** The inputs of training step 0, 1, …, as `trainInputs` declares them. */
export interface Batches {
  perEpoch: number
  /** The most steps that `take` gives. */
  capacity: number
  /**
   * Gathers `count` steps of one epoch, one after another, into the one set of buffers, and gives what is filled of them. They hold
   * until the next call; `weights` is Σ weights of each step, `rows` are those of the dataset that were gathered.
   */
  take(first: number, count: number): { inputs: StepInputs; weights: number[]; learningRate: number; rows: Uint32Array }
  /** What the steps that were last taken say of their rows, [count, B, C], is their past from now on. */
  remember(values: Float32Array): void
}

/** At most so many steps at once: the cost of a call is nothing beside them. */
const CAPACITY = 64
/** Values of inputs in the buffers. */
const BUFFER = 32 * 2 ** 20

/**
 * Each epoch is a permutation of `rows` drawn from (seed, epoch) alone, cut into batches; what the last one lacks is filled with the
 * epoch's first rows at weight 0, so that its mean and variance, which batch normalisation takes, are those of real rows.
 */
export function createBatches(options: {
  dataset: Dataset
  rows: Uint32Array
  config: StudentConfig
  method: Method
  /** What is remembered of the dataset's rows, [rows, classes], where the method needs it. */
  past?: Float32Array | undefined
}): Batches {
  const { dataset, rows, config, method, past } = options
  const { positions, lengths } = dataset
  const { batch, seed, epochs, schedule, learningRate: base } = config
  const perEpoch = Math.ceil(rows.length / batch)
  const name = inputNames[dataset.input.kind]
  const specs = Object.entries(trainInputs(batch, dataset, method))
  const sizes = new Map(specs.map(([name, { shape }]) => [name, shape.reduce((product, n) => product * n, 1)]))
  const capacity = Math.max(1, Math.min(CAPACITY, perEpoch, Math.floor(BUFFER / sizes.get(name)!)))
  const buffers = Object.fromEntries(
    specs.map(([name, { dtype }]) => [name, new arrays[dtype](capacity * sizes.get(name)!)]),
  )
  const gatherInputs = createGather(dataset)
  const { partner: kind } = method.needs
  const partners = kind && createPartners({ kind, dataset, rows, seed })
  const tables = [
    { name: 'labels', values: dataset.labels },
    ...(past ? [{ name: 'past', values: past }] : []),
    ...dataset.targets.columns.map(({ name, values }) => ({ name: inputOf(name), values })),
  ].filter(({ name }) => buffers[name])
  buffers.temperature!.fill(config.temperature)
  buffers.alpha!.fill(config.alpha)
  /** Weights of a stack of rows of which the first `real` count: 1 at their valid positions. */
  const weigh = (some: Uint32Array, real: number): Float32Array => {
    const weights = buffers.weights as Float32Array
    weights.fill(0)
    for (let i = 0; i < real; i++) weights.fill(1, i * positions, i * positions + (lengths?.[some[i]!] ?? 1))
    return weights
  }
  let [epoch, order, paired, taken] = [-1, rows, rows, rows]
  return {
    perEpoch,
    capacity,
    take(first, count) {
      if (epoch !== Math.floor(first / perEpoch)) {
        epoch = Math.floor(first / perEpoch)
        const drawn = random(seed, 'shuffle', epoch).permutation(rows.length)
        order = Uint32Array.from({ length: perEpoch * batch }, (_, i) => rows[drawn[i % rows.length]!]!)
        if (partners) paired = partners.draw(order, epoch)
      }
      const start = (first % perEpoch) * batch
      const end = start + count * batch
      const some = order.subarray(start, end)
      taken = some
      const real = Math.min(end, rows.length) - start
      gatherInputs(some, buffers[name] as Inputs)
      for (const { name, values } of tables) {
        gather(values, { width: sizes.get(name)! / batch, rows: some, into: buffers[name]! })
      }
      if (partners) gatherInputs(paired.subarray(start, end), buffers.partner as Inputs)
      const weights = weigh(some, real)
      for (let i = 0; i < count; i++) {
        buffers.learningRate![i] = learningRateAt(first + i, { schedule, base, steps: epochs * perEpoch, perEpoch })
        buffers.step![i] = first + i
        buffers.epoch![i] = epoch
      }
      return {
        inputs: Object.fromEntries(
          Object.entries(buffers).map(([name, all]) => [name, all.subarray(0, count * sizes.get(name)!)]),
        ),
        weights: Array.from({ length: count }, (_, i) =>
          weights.subarray(i * batch * positions, (i + 1) * batch * positions).reduce(sum, 0),
        ),
        learningRate: buffers.learningRate![count - 1]!,
        rows: some,
      }
    },
    // No row is in two batches of an epoch, but as padding: so the steps of a call need not see what each other say.
    remember(values) {
      const { classes } = dataset
      const weights = buffers.weights!
      for (let i = 0; i < taken.length * positions; i++) {
        if (weights[i] === 0) continue
        const row = taken[Math.floor(i / positions)]! * positions + (i % positions)
        past!.set(values.subarray(i * classes, (i + 1) * classes), row * classes)
      }
    },
  }
}

const sum = (a: number, b: number) => a + b
