import { beforeAll, describe, expect, it } from 'vitest'
import { type Engine, openEngine } from '../../src/engine/engine.js'
import { DecantError } from '../../src/errors.js'
import { temporaryFolder } from './fixtures.js'
import { tinyStudents } from './tiny-students.js'
import { expectSame, fitTiny, trainTiny } from './train-tiny.js'

// Every layer of tfjs, with what can be set of it, in a tiny student: whatever tfjs's model.fit trains, engine onnx trains alike.

/** What model.fit refuses, too. */
const limits = [
  ...['elu, alpha', 'thresholdedReLU', 'softmax of an axis', 'conv1d, causal', 'conv1d, dilated', 'conv2d, dilated'],
  ...['separableConv2d, dilated', 'conv3dTranspose', 'conv3dTranspose, same, strides', 'resizing', 'resizing, nearest'],
  ...['batchNormalization of volumes', 'batchNormalization, no centre', 'batchNormalization, no scale'],
  ...['batchNormalization along another axis', 'layerNormalization, no centre', 'layerNormalization, no scale'],
  ...['centerCrop', 'categoryEncoding', 'randomWidth'],
]

const engines: Partial<Record<'eager' | 'onnx', Engine>> = {}
beforeAll(async () => {
  engines.eager = await openEngine('eager')
  engines.onnx = await openEngine('onnx', { threads: 1 })
})

it('every limit is that of a student', () => {
  expect(limits.filter((limit) => !tinyStudents.some(({ name }) => name === limit))).toEqual([])
})

const trained = `${tinyStudents.length - limits.length} of ${tinyStudents.length} students train`
describe.each(tinyStudents)(`${trained}: one with $name`, (student) => {
  if (limits.includes(student.name))
    it("is told in one line that tfjs cannot train it, as tfjs's model.fit cannot", async () => {
      for (const engine of Object.values(engines)) {
        const error = await trainTiny(student, { engine }).catch((error: unknown) => error)
        expect(error).toBeInstanceOf(DecantError)
        expect((error as Error).message).not.toContain('\n')
      }
      await expect(fitTiny(student)).rejects.toThrow()
    })
  else
    it(`trains and is saved as ${student.draws ? 'the same draws on tfjs train it' : "tfjs's model.fit trains it"}`, async () => {
      const found = await trainTiny(student, { engine: engines.onnx!, out: await temporaryFolder() })
      expectSame(found, student.draws ? await trainTiny(student, { engine: engines.eager! }) : await fitTiny(student))
    })
})
