import { layers, sequential } from '@tensorflow/tfjs-layers'
import { beforeAll, expect, it } from 'vitest'
import { type Engine, openEngine } from '../../src/engine/engine.js'
import { temporaryFolder } from './fixtures.js'
import { type TinyStudent, tinyStudents } from './tiny-students.js'
import { expectSame, fitTiny, trainTiny } from './train-tiny.js'

// Layers that begin with a state of zeros, a row for each row of the batch; layers.long.test.ts has all that can be set of them.

const engines: Partial<Record<'eager' | 'onnx', Engine>> = {}
beforeAll(async () => {
  engines.eager = await openEngine('eager')
  engines.onnx = await openEngine('onnx', { threads: 1 })
})
const find = (name: string): TinyStudent => tinyStudents.find((student) => student.name === name)!

it.each(['lstm, masked, sequences', 'bidirectional, masked', 'convLstm2d'])(
  "a student with %s trains as tfjs's model.fit does, and is the same student for any batch in student.onnx",
  async (name) => {
    const found = await trainTiny(find(name), { engine: engines.onnx!, out: await temporaryFolder() })
    expectSame(found, await fitTiny(find(name)))
  },
)

it('recurrent dropout draws its masks from the seed, on every engine alike, anew at every step, and drops nothing once it is trained', async () => {
  const student = find('rnn of a cell, dropout')
  const found = await trainTiny(student, { engine: engines.onnx!, out: await temporaryFolder() })
  expectSame(found, await trainTiny(student, { engine: engines.eager! }))
  const [first, ...others] = (await trainTiny(student, { engine: engines.onnx!, learningRate: 1e-12 })).losses
  for (const loss of others) expect(Math.abs(loss - first!)).toBeGreaterThan(1e-5) // of the same weights
})

it('a layer whose state goes on from batch to batch is refused: rows are shuffled', async () => {
  const make = () =>
    sequential({
      layers: [
        layers.lstm({ name: 'memory', units: 4, stateful: true, batchInputShape: [8, 5, 3] }),
        layers.dense({ units: 3 }),
      ],
    })
  await expect(trainTiny({ ...find('lstm'), make }, { engine: engines.onnx! })).rejects.toThrow(
    'layer memory: stateful, and the rows of a batch do not follow on those of the one before: leave it out',
  )
})
