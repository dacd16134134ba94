import { readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { InferenceSession, Tensor } from 'onnxruntime-node'
import { beforeAll, describe, expect, it } from 'vitest'
import { openTargets } from '../../../src/cache/index.js'
import { CLASSES, type Example, makeExample, pixelsOf, temporaryFolder } from '../../student/fixtures.js'
import { eventsOf, runCommand } from '../output.js'

const rows = 120
let example: Example
let targets: string
let out: string
let said: { out: string; err: string }
beforeAll(async () => {
  example = await makeExample(rows)
  targets = join(example.dir, 'targets')
  out = join(await temporaryFolder(), 'student')
  said = await runCommand('train', targets, '--student', 'mlp:8', '--epochs', '2', '--batch', '32', '--out', out)
})

describe('decant train', () => {
  it('says what it trained, on how many rows, and how good it is', () => {
    expect(said.err).toMatch(/^323 parameters, 1\d\d rows, \d+ held out, 8 steps on /)
    expect(said.out).toMatch(/^mlp:8, 323 parameters, trained in /)
    expect(said.out).toMatch(/\d+ rows \(held-out rows\): accuracy \d+\.\d\d %, NLL .* agreement with the teacher /)
    expect(said.out).toContain(`wrote ${out}\n`)
  })

  it('gives the same as events, and does not train a student again that is there', async () => {
    const again = await runCommand(
      ...['train', targets, '--student', 'mlp:8', '--epochs', '2', '--batch', '32', '--out', out, '--json'],
    )
    const events = eventsOf(again.out)
    expect(events.some(({ type }) => type === 'step')).toBe(false)
    const { metrics } = JSON.parse(await readFile(join(out, 'metrics.json'), 'utf8'))
    expect(events.at(-1)).toMatchObject({ type: 'trained', parameters: 323, measuredOn: 'held-out rows', metrics })
  })

  it('trains a student a seed, each in a folder of its own, and prints their mean with its interval', async () => {
    const parent = join(await temporaryFolder(), 'seeds')
    const flags = ['--student', 'linear', '--epochs', '1', '--seed', '1,2', '--out', parent]
    const { out } = await runCommand('train', targets, ...flags)
    expect(out).toMatch(/^linear, 111 parameters, 2 seeds, trained in /)
    expect(out).toMatch(/accuracy \d+\.\d\d ± \d+\.\d\d %, NLL \d\.\d{4} ± /)
    const seeds = await Promise.all(
      [1, 2].map(async (seed) => JSON.parse(await readFile(join(parent, `seed-${seed}`, 'student.json'), 'utf8'))),
    )
    expect(seeds.map(({ provenance }) => provenance.config.seed)).toEqual([1, 2])
  })

  it('makes a student.onnx that is a teacher for the next export', async () => {
    const dir = join(await temporaryFolder(), 'next')
    const flags = ['--preprocess', join(out, 'preprocess.json'), '--codec', 'f32', '--batch', '32', '--provider', 'cpu']
    await runCommand('export', example.source.uri, '--teacher', join(out, 'student.onnx'), '--out', dir, ...flags)
    const next = await openTargets(dir)
    const { logits } = await next.load()
    expect(next.manifest).toMatchObject({ rows, classes: CLASSES, teacher: { file: 'student.onnx', logits: 'logits' } })
    await next.close()

    const session = await InferenceSession.create(join(out, 'student.onnx'))
    const pixels = Float32Array.from({ length: rows * 36 }, (_, i) => {
      return (pixelsOf(Math.floor(i / 36))[i % 36]! / 255 - 0.3) / 0.2
    })
    const direct = await session.run({ input: new Tensor('float32', pixels, [rows, 6, 6, 1]) })
    const expected = direct.logits!.data as Float32Array
    const worst = logits.reduce((most, z, i) => Math.max(most, Math.abs(z - expected[i]!)), 0)
    expect(worst).toBeLessThan(1e-4)
    await session.release()
  })

  it("trains the user's own student", async () => {
    const module = join(await temporaryFolder(), 'my-student.ts')
    const layers = import.meta.resolve('@tensorflow/tfjs-layers')
    await writeFile(
      module,
      `import * as tf from '${layers}'
       interface Options { inputShape: number[]; classes: number }
       export default ({ inputShape, classes }: Options) =>
         tf.sequential({ layers: [tf.layers.flatten({ inputShape }), tf.layers.dense({ units: classes })] })`,
    )
    const { out } = await runCommand('train', targets, '--student', module, '--epochs', '1')
    expect(out).toContain('111 parameters')
  })
})

describe('decant train refuses in one line', () => {
  it.each([
    ['an option of another optimizer', ['--momentum', '0.5'], /--momentum belongs to sgd, the optimizer is adam/],
    ['an unknown student', ['--student', 'vit:1'], /student 'vit:1': expected one of linear, mlp/],
    ['an unknown method', ['--method', 'dark'], /method 'dark'/],
    ['a parameter that the method lacks', ['--method', 'dkd', '--set', 'beta=8'], /parameter 'beta' of method dkd/],
    ['a setting without a value', ['--set', 'nckd'], /expected name=value, found 'nckd'/],
    ['a learning rate of 0', ['--lr', '0'], /learningRate: expected a number above 0, found 0/],
  ])('%s', async (_, flags, message) => {
    await expect(runCommand('train', targets, ...flags)).rejects.toThrow(message)
  })

  it('a folder of something else for its seeds, which is left as it is', async () => {
    const dir = await temporaryFolder()
    await writeFile(join(dir, 'plan.json'), 'mine')
    await writeFile(join(dir, 'notes.txt'), 'mine')
    await expect(runCommand('train', targets, '--seed', '1,2', '--out', dir)).rejects.toThrow(/it holds notes\.txt/)
    expect(await readFile(join(dir, 'plan.json'), 'utf8')).toBe('mine')
  })

  it('images that are not where the manifest says, with the option that helps', async () => {
    const moved = await makeExample(10)
    const images = moved.source.uri
    const bytes = await readFile(images)
    const elsewhere = join(await temporaryFolder(), 'train-images-idx3-ubyte')
    await writeFile(elsewhere, bytes)
    await writeFile(
      elsewhere.replace('images-idx3', 'labels-idx1'),
      await readFile(images.replace('images-idx3', 'labels-idx1')),
    )
    await rm(images)
    const dir = join(moved.dir, 'targets')
    await expect(runCommand('train', dir)).rejects.toThrow(/ENOENT; say with --source where the samples of .* are/)
    const { out } = await runCommand('train', dir, '--source', elsewhere, '--epochs', '1')
    expect(out).toContain('trained in')
  })

  it('method ce without labels', async () => {
    const { dir } = await makeExample(10, { unlabelled: 1 })
    await expect(runCommand('train', join(dir, 'targets'), '--method', 'ce')).rejects.toThrow(/learns from labels/)
  })
})
