import type { LayersModel } from '@tensorflow/tfjs-layers'
import type { Engine } from '../engine/engine.js'
import type { Dataset } from './dataset.js'
import { gather } from './gather.js'
import { allocateInputs, createGather, inputNames, inputSpec } from './inputs.js'
import { createMeasure, type Metrics } from './metrics.js'
import { predictStep } from './program.js'
import { teacherOf } from './targets.js'

const BATCH = 250
/** The most logits at once, where each row has many. */
const MOST = 2 ** 23

export interface Evaluator {
  /** Measures the model as it is now on the given rows. */
  evaluate(dataset: Dataset, rows: Uint32Array): Promise<Metrics>
  dispose(): Promise<void>
}

/** Compiles a model's inference once, for evaluations in between and at the end. */
export async function createEvaluator(options: {
  model: LayersModel
  engine: Engine
  dataset: Dataset
}): Promise<Evaluator> {
  const { model, engine, dataset } = options
  const { input, positions, classes } = dataset
  const size = positions === 1 ? BATCH : Math.max(1, Math.min(BATCH, Math.floor(MOST / (positions * classes))))
  const name = inputNames[input.kind]
  const program = await engine.compile(predictStep(model, dataset), { inputs: { [name]: inputSpec(input, size) } })
  return {
    async evaluate(dataset, rows) {
      const { targets, labels } = dataset
      await engine.sync()
      const gatherInputs = createGather(dataset)
      const batch = allocateInputs(input, size)
      const measured = createMeasure(classes)
      for (let at = 0; at < rows.length; at += size) {
        const some = rows.subarray(at, at + size)
        gatherInputs(some, batch)
        const outputs = await program.run({ [name]: batch })
        const { own, all } = validPositions(dataset, some)
        const student = new Float32Array(own.length * classes)
        gather(outputs.logits!, { width: classes, rows: own, into: student })
        const hard = new Int32Array(own.length)
        gather(labels, { width: 1, rows: all, into: hard })
        measured.add({ student, teacher: teacherOf(targets, all), labels: hard })
      }
      return measured.result()
    },
    dispose: () => program.dispose(),
  }
}

/** The valid positions of some rows (the rows themselves where they are no sequences): their numbers in this batch, and in the dataset. */
export function validPositions({ positions, lengths }: Pick<Dataset, 'positions' | 'lengths'>, rows: Uint32Array) {
  const own: number[] = []
  const all: number[] = []
  for (const [i, row] of rows.entries()) {
    for (let position = 0; position < (lengths?.[row] ?? 1); position++) {
      own.push(i * positions + position)
      all.push(row * positions + position)
    }
  }
  return { own: Uint32Array.from(own), all: Uint32Array.from(all) }
}
