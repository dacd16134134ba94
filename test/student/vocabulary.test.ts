import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import * as ort from 'onnxruntime-node'
import { beforeAll, describe, expect, it } from 'vitest'
import { openTargets } from '../../src/cache/index.js'
import { type Engine, openEngine } from '../../src/engine/engine.js'
import { encodeModel, GraphBuilder } from '../../src/onnx/index.js'
import type { Preprocess, Source, SourceInput } from '../../src/source/index.js'
import { type Dataset, loadDataset } from '../../src/student/dataset.js'
import { type TrainDataOptions, type TrainEvent, trainOnDataset } from '../../src/student/train.js'
import { exportTargets } from '../../src/teacher/index.js'
import { sourceOf } from '../helpers/sources.js'
import { temporaryFolder } from './fixtures.js'

// A student of tokens knows every id that the tokenizer, or the teacher, has: rows that come later have words which those that it is trained on have not.

const [LENGTH, CLASSES, TEACHER, TOKENIZER] = [4, 3, 20, 15]
const trained = [0, 3, 1, -1, 2, 5, 5, 4, 1, 0, -1, -1]
const later = [7, 1, -1, -1, 14, 14, 2, 3]

const input: SourceInput = { kind: 'tokens', dtype: 'int32', shape: [LENGTH] }
const sourceFrom = (tokens: number[], vocabulary?: number): Source => ({
  ...sourceOf(input, Int32Array.from(tokens)),
  ...(vocabulary !== undefined && { vocabulary }),
})

/** The mean of its ids' rows in a table; `computed`: a graph in which no table shows. */
async function writeTeacher(path: string, { computed = false } = {}): Promise<string> {
  const graph = new GraphBuilder()
  const ids = graph.input('input_ids', 'int64', ['N', 'L'])
  const values = Float32Array.from({ length: TEACHER * CLASSES }, (_, i) => Math.sin(7 * i))
  const table = graph.f32(values, [TEACHER, CLASSES])
  const rows = graph.node('Gather', [computed ? graph.node('Neg', [table]) : table, ids])
  graph.output('logits', 'float32', ['N', CLASSES], graph.node('ReduceMean', [rows], { axes: [1], keepdims: 0 }))
  await writeFile(path, encodeModel(graph.model({ name: 'teacher', opset: 13 })))
  return path
}

let dir: string
let engine: Engine
let teachers: { plain: string; computed: string }
beforeAll(async () => {
  dir = await temporaryFolder()
  engine = await openEngine('onnx', { threads: 1 })
  const plain = await writeTeacher(join(dir, 'teacher.onnx'))
  teachers = { plain, computed: await writeTeacher(join(dir, 'computed.onnx'), { computed: true }) }
})

/** Exports, with the inputs beside the targets, and loads without the source. */
async function datasetOf(source: Source, { teacher = teachers.plain } = {}): Promise<Dataset> {
  const out = join(await temporaryFolder(), 'targets')
  await exportTargets({ source, teacher, codec: 'f32', provider: 'cpu', batch: 1, out, storeInputs: true })
  const targets = await openTargets(out)
  const dataset = await loadDataset({ targets })
  await targets.close()
  return dataset
}

const train = (options: Pick<TrainDataOptions, 'dataset'> & Partial<TrainDataOptions>) =>
  trainOnDataset({ engine, student: 'bag:2', epochs: 1, batch: 2, holdout: 0, ...options })

async function runStudent(out: string, tokens: number[]): Promise<readonly number[]> {
  const session = await ort.InferenceSession.create(join(out, 'student.onnx'), { logSeverityLevel: 4 })
  const fed = new ort.Tensor('int32', Int32Array.from(tokens), [tokens.length / LENGTH, LENGTH])
  const { logits } = await session.run({ tokens: fed }).finally(() => session.release())
  return logits!.dims
}

describe('a student of tokens', () => {
  it.each([
    ["the tokenizer's", TOKENIZER, TOKENIZER],
    ["the teacher's, where ids come ready", undefined, TEACHER],
  ])('has a vocabulary, %s, not the ids that it is trained on', async (_, ofSource, vocabulary) => {
    const dataset = await datasetOf(sourceFrom(trained, ofSource))
    expect(dataset.input).toEqual({ kind: 'tokens', shape: [LENGTH], vocabulary })
    const out = await temporaryFolder()
    const evaluation = await datasetOf(sourceFrom(later, ofSource))
    const { metrics } = await train({ dataset, evaluation, out })
    expect(metrics!.rows).toBe(2)
    expect(await runStudent(out, [vocabulary - 1, 0, -1, -1])).toEqual([1, CLASSES])
    await expect(runStudent(out, [vocabulary, 0, -1, -1])).rejects.toThrow('Gather')
  })

  it('is told where nobody says how many ids there are, and is not measured on others', async () => {
    const dataset = await datasetOf(sourceFrom(trained), { teacher: teachers.computed })
    const events: TrainEvent[] = []
    await train({ dataset, onEvent: (event) => events.push(event) })
    const message = expect.stringMatching(/it knows the ids 0 to 5, those that it is trained on: .* text.vocabulary/)
    expect(events).toContainEqual({ type: 'warning', message })
    const evaluation = await datasetOf(sourceFrom(later), { teacher: teachers.computed })
    await expect(train({ dataset, evaluation })).rejects.toThrow('have the token 14, the student knows 0 to 5')
  })

  it('of another student keeps its vocabulary', async () => {
    const out = await temporaryFolder()
    await train({ dataset: await datasetOf(sourceFrom(trained)), out })
    const again = await datasetOf(sourceFrom(later), { teacher: join(out, 'student.onnx') })
    expect(again.input.vocabulary).toBe(TEACHER)
  })

  it.each(['finished', 'half trained'])(
    'that an older decant began goes on with the ids that it knows: %s',
    async (how) => {
      const { preprocess, ...dataset } = await datasetOf(sourceFrom(trained))
      const older = { ...dataset, preprocess: { version: 1 } as Preprocess, input: { ...dataset.input, vocabulary: 6 } }
      const out = await temporaryFolder()
      const begun = train({
        dataset: older,
        out,
        epochs: 2,
        ...(how !== 'finished' && { signal: AbortSignal.abort() }),
      })
      if (how === 'finished') await begun
      else await expect(begun).rejects.toThrow('stopped after step 1')
      await forgetRecipe(out, how === 'finished' ? 'student.json' : 'checkpoint.safetensors')
      const { model } = await train({ dataset: { ...dataset, preprocess }, out, epochs: 2 })
      expect(model.getWeights()[0]!.shape).toEqual([7, 2])
    },
  )
})

/** Of recipe 1 neither number nor vocabulary were written; in a checkpoint the text that is left is filled up with spaces. */
async function forgetRecipe(out: string, file: string): Promise<void> {
  const path = join(out, file)
  const text = await readFile(path, 'latin1')
  const without = text
    .replace(/(\\?"recipe\\?":\s*2,\s*)/, (found) => ' '.repeat(found.length))
    .replace(/(\\?"vocabulary\\?":\s*6,\s*)(?=\\?"manifest)/, (found) => ' '.repeat(found.length))
  expect(without).not.toBe(text)
  await writeFile(path, without, 'latin1')
}
