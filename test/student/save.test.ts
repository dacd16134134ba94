import { readdir, readFile, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import * as tf from '@tensorflow/tfjs-core'
import { type LayersModel, loadLayersModel } from '@tensorflow/tfjs-layers'
import * as ort from 'onnxruntime-node'
import { beforeAll, describe, expect, it } from 'vitest'
import { openEngine } from '../../src/engine/engine.js'
import { describeModel, readModel } from '../../src/onnx/index.js'
import { readSummary } from '../../src/student/summary.js'
import { type TrainedStudent, trainOnDataset } from '../../src/student/train.js'
import { CLASSES, type Example, makeExample, temporaryFolder } from './fixtures.js'

let example: Example
let out: string
let student: TrainedStudent
beforeAll(async () => {
  example = await makeExample(120)
  out = await temporaryFolder()
  const engine = await openEngine('eager')
  student = await trainOnDataset({ dataset: example.dataset, engine, student: 'mlp:8', epochs: 2, batch: 32, out })
})

/** The rows as a user of the folder makes them from preprocess.json. */
const inputOf = (rows: number) => {
  const pixels = example.dataset.inputs.values as Uint8Array
  return Float32Array.from(pixels.subarray(0, rows * 36), (x) => (x / 255 - 0.3) / 0.2)
}
const logitsOf = (model: LayersModel, rows: number) =>
  tf.tidy(() => Array.from((model.predict(tf.tensor(inputOf(rows), [rows, 6, 6, 1])) as tf.Tensor).dataSync()))

describe("a student's folder", () => {
  it('holds these files and nothing else', async () => {
    expect((await readdir(out)).sort()).toEqual([
      'metrics.json',
      'model.json',
      'preprocess.json',
      'student.json',
      'student.onnx',
      'weights.bin',
    ])
  })

  it("loads with tfjs's own loader, from model.json and weights.bin as a web server gives them", async () => {
    const files = tf.io.http('http://localhost/model.json', {
      fetchFunc: async (url) => new Response(new Uint8Array(await readFile(join(out, basename(String(url)))))),
    })
    expect(logitsOf(await loadLayersModel(files), 7)).toEqual(logitsOf(student.model, 7))
  })

  it('has a student.onnx for any batch size that agrees with the tfjs model to 1e-5', async () => {
    const session = await ort.InferenceSession.create(join(out, 'student.onnx'))
    for (const rows of [1, 7]) {
      const { logits } = await session.run({ input: new ort.Tensor('float32', inputOf(rows), [rows, 6, 6, 1]) })
      expect(logits!.dims).toEqual([rows, CLASSES])
      logitsOf(student.model, rows).forEach((expected, i) => {
        expect(Math.abs((logits!.data[i] as number) - expected)).toBeLessThan(1e-5 * Math.max(1, Math.abs(expected)))
      })
    }
    await session.release()
  })

  it('says in student.onnx what it was made from', async () => {
    const { metadata } = describeModel(await readModel(join(out, 'student.onnx')))
    expect(metadata).toMatchObject({
      classes: JSON.stringify(example.targets.names),
      content: example.dataset.lineage.content,
      teacher: 'a'.repeat(64),
    })
    expect(JSON.parse(metadata.preprocess!)).toEqual({ version: 1, mean: [0.3], std: [0.2], layout: 'NHWC' })
  })

  it('says in student.json where it comes from', async () => {
    const summary = JSON.parse(await readFile(join(out, 'student.json'), 'utf8'))
    expect(summary.provenance).toMatchObject({
      config: { student: 'mlp:8', temperature: 4, alpha: 0.9, seed: 1 },
      engine: 'eager',
      manifest: example.dataset.manifest,
    })
    expect((await readSummary(out)).metrics).toEqual(student.metrics)
  })

  it('is refused with the place of the error where its files were altered', async () => {
    const path = join(out, 'metrics.json')
    const text = await readFile(path, 'utf8')
    await writeFile(path, text.replace('"agreement"', '"agrement"'))
    await expect(readSummary(out)).rejects.toThrow(/metrics\.json: metrics/)
    await writeFile(path, text)
  })
})
