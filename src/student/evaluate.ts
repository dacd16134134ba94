import type { LayersModel } from '@tensorflow/tfjs-layers'
import type { Engine } from '../engine/engine.js'
import type { Dataset } from './dataset.js'
import { gather } from './gather.js'
import { allocateInputs, createGather, inputNames, inputSpec } from './inputs.js'
import { createMeasure, type Metrics } from './metrics.js'
import { predictStep } from './program.js'
import { teacherOf } from './targets.js'

const BATCH = 250

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
  const { input } = dataset
  const name = inputNames[input.kind]
  const program = await engine.compile(predictStep(model, dataset), { inputs: { [name]: inputSpec(input, BATCH) } })
  return {
    async evaluate(dataset, rows) {
      const { targets, labels, classes } = dataset
      await engine.sync()
      const gatherInputs = createGather(dataset)
      const batch = allocateInputs(input, BATCH)
      const measured = createMeasure(classes)
      for (let at = 0; at < rows.length; at += BATCH) {
        const some = rows.subarray(at, at + BATCH)
        gatherInputs(some, batch)
        const outputs = await program.run({ [name]: batch })
        const student = outputs.logits!.subarray(0, some.length * classes)
        const hard = new Int32Array(some.length)
        gather(labels, { width: 1, rows: some, into: hard })
        measured.add({ student, teacher: teacherOf(targets, some), labels: hard })
      }
      return measured.result()
    },
    dispose: () => program.dispose(),
  }
}
