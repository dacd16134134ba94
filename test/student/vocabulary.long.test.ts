import { cp, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import * as ort from 'onnxruntime-node'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { openTargets, type Targets } from '../../src/cache/index.js'
import { type Engine, openEngine } from '../../src/engine/engine.js'
import { encodeModel, findVocabulary, GraphBuilder, readModel } from '../../src/onnx/index.js'
import { type Dataset, loadDataset } from '../../src/student/dataset.js'
import { type TrainDataOptions, type TrainEvent, trainOnDataset } from '../../src/student/train.js'
import { exportTargets } from '../../src/teacher/index.js'
import { sourceOf } from '../helpers/sources.js'
import { temporaryFolder } from './fixtures.js'

// A student of tokens knows every id that the tokenizer, or the teacher, has: rows that come later have words which those that it is trained on have not.

const [LENGTH, CLASSES, TEACHER, TOKENIZER] = [4, 3, 20, 25]
const trained = Int32Array.of(0, 3, 1, -1, 2, 5, 5, 4, 1, 0, -1, -1)
const later = Int32Array.of(7, 1, -1, -1, 14, 14, 2, 3, 9, 9, 9, -1)
const source = sourceOf({ kind: 'tokens', dtype: 'int32', shape: [LENGTH] }, trained)

let engine: Engine
let targets: Targets
let dataset: Dataset
beforeAll(async () => {
  engine = await openEngine('onnx', { threads: 1 })
  const dir = await temporaryFolder()
  const graph = new GraphBuilder() // the mean of the ids' rows in a table
  const ids = graph.input('input_ids', 'int64', ['N', 'L'])
  const table = Float32Array.from({ length: TEACHER * CLASSES }, (_, i) => Math.sin(7 * i))
  const rows = graph.node('Gather', [graph.f32(table, [TEACHER, CLASSES]), ids])
  graph.output('logits', 'float32', ['N', CLASSES], graph.node('ReduceMean', [rows], { axes: [1], keepdims: 0 }))
  const teacher = join(dir, 'teacher.onnx')
  await writeFile(teacher, encodeModel(graph.model({ name: 'teacher', opset: 13 })))
  const out = join(dir, 'targets')
  await exportTargets({ source, teacher, codec: 'f32', provider: 'cpu', batch: 1, out, storeInputs: true })
  targets = await openTargets(out)
  dataset = await loadDataset({ targets })
})
afterAll(() => targets.close())

const train = (options: Partial<TrainDataOptions>) =>
  trainOnDataset({ dataset, engine, student: 'bag:2', epochs: 1, batch: 2, holdout: 0, ...options })

async function runStudent(out: string, tokens: number[]): Promise<readonly number[]> {
  const session = await ort.InferenceSession.create(join(out, 'student.onnx'), { logSeverityLevel: 4 })
  const fed = new ort.Tensor('int32', Int32Array.from(tokens), [tokens.length / LENGTH, LENGTH])
  const { logits } = await session.run({ tokens: fed }).finally(() => session.release())
  return logits!.dims
}

describe('the vocabulary of a dataset', () => {
  it("is the teacher's, where ids come ready, and not those that are in it", () => {
    expect(dataset.input).toEqual({ kind: 'tokens', shape: [LENGTH], vocabulary: TEACHER })
    expect(dataset.counted).toBeUndefined()
  })

  it("is the tokenizer's, where the source has one", async () => {
    const { input } = await loadDataset({ targets, source: { ...source, vocabulary: TOKENIZER } })
    expect(input.vocabulary).toBe(TOKENIZER)
  })

  it('is counted where nobody says how large it is', async () => {
    const dir = await temporaryFolder()
    await cp(targets.dir, dir, { recursive: true })
    const { sha256, ...manifest } = targets.manifest
    await writeFile(join(dir, 'manifest.json'), JSON.stringify({ ...manifest, preprocess: null }))
    const silent = await openTargets(dir)
    const { input, counted } = await loadDataset({ targets: silent })
    await silent.close()
    expect([input.vocabulary, counted]).toEqual([6, true])
  })
})

describe('a student of tokens', () => {
  const evaluated = (): Dataset => ({ ...dataset, inputs: { values: later } })

  it('takes ids that it was not trained on, in student.onnx and where it is measured', async () => {
    const out = await temporaryFolder()
    const { metrics } = await train({ evaluation: evaluated(), out })
    expect(metrics!.rows).toBe(3)
    expect(await runStudent(out, [TEACHER - 1, 0, -1, -1])).toEqual([1, CLASSES])
    await expect(runStudent(out, [TEACHER, 0, -1, -1])).rejects.toThrow('Gather')
    // as a teacher it says so itself
    expect(findVocabulary((await readModel(join(out, 'student.onnx'))).proto)).toBe(TEACHER)
  })

  it('is told where they were counted, and is not measured on others', async () => {
    const some: Dataset = { ...dataset, input: { ...dataset.input, vocabulary: 6 }, counted: true }
    const events: TrainEvent[] = []
    await train({ dataset: some, onEvent: (event) => events.push(event) })
    const message = expect.stringMatching(/it knows the ids 0 to 5, those that it is trained on: .* text.vocabulary/)
    expect(events).toContainEqual({ type: 'warning', message })
    await expect(train({ dataset: some, evaluation: evaluated() })).rejects.toThrow(
      'have the token 14, the student knows 0 to 5',
    )
  })

  it.each(['finished', 'half trained'])(
    'that an older decant began goes on with the ids that it knows: %s',
    async (how) => {
      const older = { ...dataset, input: { ...dataset.input, vocabulary: 6 } }
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
      const { model } = await train({ out, epochs: 2 })
      expect(model.getWeights()[0]!.shape).toEqual([7, 2])
    },
  )
})

/** Of recipe 1 neither number, vocabulary nor a checkpoint's hash were written; in a checkpoint the text that is left is filled up with spaces. */
async function forgetRecipe(out: string, file: string): Promise<void> {
  const path = join(out, file)
  const text = await readFile(path, 'latin1')
  const without = text
    .replace(/(\\?"recipe\\?":\s*2,\s*)/, (found) => ' '.repeat(found.length))
    .replace(/(\\?"vocabulary\\?":\s*6,\s*)(?=\\?"manifest)/, (found) => ' '.repeat(found.length))
    .replace(/,"sha256":"[0-9a-f]{64}"/, (found) => ' '.repeat(found.length))
  expect(without).not.toBe(text)
  await writeFile(path, without, 'latin1')
}
