import { join } from 'node:path'
import { constraints, layers, regularizers, sequential } from '@tensorflow/tfjs-layers'
import { beforeAll, describe, expect, it } from 'vitest'
import { type Engine, openEngine } from '../../src/engine/engine.js'
import { loadStudent } from '../../src/student/save.js'
import { temporaryFolder } from './fixtures.js'
import { row, sequence, type TinyStudent, tinyStudent, tinyStudents } from './tiny-students.js'
import { datasetOf, expectSame, fitTiny, predictTiny, trainTiny } from './train-tiny.js'

const engines: Partial<Record<'eager' | 'onnx', Engine>> = {}
beforeAll(async () => {
  engines.eager = await openEngine('eager')
  engines.onnx = await openEngine('onnx', { threads: 1 })
})
const find = (name: string): TinyStudent => tinyStudents.find((student) => student.name === name)!
const l2 = () => regularizers.l2({ l2: 0.1 })

describe('regularizers of a student', () => {
  it.each(['dense, l2', 'dense, l1', 'a layer twice', 'a model as a layer'])(
    "are part of its loss as in tfjs's model.fit, on every engine: %s",
    async (name) => {
      const expected = await fitTiny(find(name))
      for (const engine of Object.values(engines)) expectSame(await trainTiny(find(name), { engine }), expected)
    },
  )

  it.each([
    ['recurrent cells', (given: object) => layers.simpleRNN({ units: 2, recurrentInitializer: 'zeros', ...given })],
    [
      'layers of wrapped models',
      (given: object) => {
        const inner = sequential({ layers: [layers.dense({ units: 2, inputShape: [3], ...given })] })
        return layers.timeDistributed({ layer: inner as unknown as layers.Layer })
      },
    ],
  ])('of %s are, too, which model.fit leaves out', async (_, make) => {
    const of = (given: object) =>
      tinyStudent({ name: 'inner', input: sequence, parts: () => [make(given)], weights: 'inner' })
    const [plain, regularized] = [of({}), of({ kernelRegularizer: l2() })]
    const kernel = plain.make().getWeights()[0]!.dataSync() as Float32Array
    const penalty = 0.1 * kernel.reduce((sum, w) => sum + w * w, 0)
    for (const engine of Object.values(engines)) {
      const [without, own] = [await trainTiny(plain, { engine }), await trainTiny(regularized, { engine })]
      expect(own.losses[0]! - without.losses[0]!).toBeCloseTo(penalty, 5)
    }
  })
})

describe('constraints of a student', () => {
  const constrained = (constraint: ReturnType<typeof constraints.nonNeg>, trainable = true) =>
    tinyStudent({
      ...{ name: 'constrained', input: row },
      parts: () => [
        layers.dense({ units: 4, trainable, kernelConstraint: constraint, biasConstraint: constraint }),
        layers.dense({ units: 4, kernelConstraint: constraint }),
      ],
    })

  it.each([
    ['nonNeg', constraints.nonNeg()],
    ['maxNorm', constraints.maxNorm({ maxValue: 0.5, axis: 0 })],
    ['unitNorm', constraints.unitNorm({ axis: 0 })],
    ['minMaxNorm', constraints.minMaxNorm({ minValue: 0.3, maxValue: 0.5, axis: 0 })],
  ])('hold after every step, on every engine: %s', async (_, constraint) => {
    const student = constrained(constraint)
    const expected = await fitTiny(student)
    for (const engine of Object.values(engines)) expectSame(await trainTiny(student, { engine }), expected)
  })

  it.each([
    ['where they are trained', constraints.nonNeg(), true, {}],
    ['where they are not', constraints.nonNeg(), false, {}],
    [
      'where the student is the average of its weights, which is shorter than they are',
      constraints.unitNorm({ axis: 0 }),
      true,
      { ema: 0.5 },
    ],
  ] as const)(
    'make the same student of model.json, which tfjs projects once more, and student.onnx, %s',
    async (_, constraint, trainable, more) => {
      const student = constrained(constraint, trainable)
      const out = await temporaryFolder()
      const { logits } = await trainTiny(student, { engine: engines.onnx!, out, learningRate: 1, ...more })
      const loaded = predictTiny(await loadStudent(out), datasetOf(student))
      for (const [i, z] of loaded.entries()) expect(z).toBeCloseTo(logits[i]!, 4)
    },
  )

  it('are refused where applying them once more would change the student', async () => {
    const student = constrained(constraints.minMaxNorm({ minValue: 0.3, maxValue: 0.5, rate: 0.5, axis: 0 }))
    await expect(
      trainTiny(student, { engine: engines.onnx!, out: join(await temporaryFolder(), 'out') }),
    ).rejects.toThrow(/weight dense_\w+\/kernel: its constraint MinMaxNorm moves what it has moved before/)
  })
})
