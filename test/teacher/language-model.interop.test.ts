import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, describe, expect, it } from 'vitest'
import { type BucketedCodec, codecOf, openTargets } from '../../src/cache/index.js'
import { openEngine } from '../../src/engine/engine.js'
import { openSource, type Preprocess, readPreprocess } from '../../src/source/index.js'
import { loadDataset } from '../../src/student/dataset.js'
import { trainOnDataset } from '../../src/student/train.js'
import { exportTargets } from '../../src/teacher/index.js'
import { sourceOf } from '../helpers/sources.js'

const python = process.env.DECANT_PYTHON ?? 'python3'
const folder = mkdtempSync(join(tmpdir(), 'decant-lm-'))
afterAll(() => rmSync(folder, { recursive: true }))

/** What PyTorch says in float64: by position of each unpadded sequence. */
interface Expected {
  length: number
  top: number
  classes: number
  rows: { tokens: number[]; indices: number[][]; values: number[][]; lse1: number[]; lse4: number[] }[]
}

function trainModel(): Expected | undefined {
  try {
    execFileSync(python, ['-c', 'import torch, onnx, onnxscript'], { stdio: 'ignore' })
  } catch {
    console.warn(
      `SKIPPED: a language model from PyTorch, since ${python} (DECANT_PYTHON) has no torch, onnx and onnxscript`,
    )
    return undefined
  }
  const root = fileURLToPath(new URL('../..', import.meta.url))
  const script = join(root, 'scripts/example/train-language-model.py')
  const texts = ['node_modules/typescript/LICENSE.txt', 'README.md', 'ARCHITECTURE.md', 'src/cache/FORMAT.md']
  execFileSync(python, [script, folder, ...texts.map((text) => join(root, text)), '--steps', '60'], {
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  return JSON.parse(readFileSync(join(folder, 'expected.json'), 'utf8')) as Expected
}

const expected = trainModel()
const common = { teacher: join(folder, 'model.onnx'), provider: 'cpu', codec: 'topk:16' } as const

describe.skipIf(!expected)('a causal language model exported by PyTorch', () => {
  const { length, top, classes, rows } = expected ?? { length: 1, top: 1, classes: 1, rows: [] }

  it("gives PyTorch's own top-k logits at every position, and the mass of all others", async () => {
    const tokens = Int32Array.from(rows.flatMap((row) => row.tokens))
    const source = sourceOf({ kind: 'tokens', dtype: 'int32', shape: [length] }, tokens)
    const out = join(folder, 'targets')
    const manifest = await exportTargets({ ...common, source, out, batch: 4 })
    expect(manifest).toMatchObject({ rows: rows.length, classes, positions: length, codec: 'topk:16' })
    const targets = await openTargets(out)
    const { columns } = await targets.load()
    await targets.close()
    expect([...columns.length!]).toEqual(rows.map((row) => row.values.length))
    const kept = (codecOf('topk:16') as BucketedCodec).decode(columns, { classes, labelled: false })
    const tails = [1, 4].map((T) => [T, kept.logTail(T)] as const)
    rows.forEach(({ values, indices, lse1, lse4 }, row) => {
      values.forEach((logits, position) => {
        const at = row * length + position
        logits.forEach((z, slot) => {
          // float16 of the gap to the top logit; so near, two classes may change places
          expect(Math.abs(kept.logits[at * top + slot]! - z)).toBeLessThan(2e-2)
          if (logits.every((other, i) => i === slot || Math.abs(other - z) > 1e-3))
            expect(kept.index[at * top + slot]).toBe(indices[position]![slot])
        })
        for (const [T, tail] of tails) {
          const head = logits.reduce((sum, z) => sum + Math.exp(z / T), 0)
          const lse = (T === 1 ? lse1 : lse4)[position]!
          expect(Math.log(head + Math.exp(tail[at]!))).toBeCloseTo(lse, 2)
          const exact = Math.exp(lse) - head
          if (exact / Math.exp(lse) > 1e-4) expect(Math.abs(Math.exp(tail[at]!) / exact - 1)).toBeLessThan(0.01)
        }
      })
    })
  })

  it('is exported from lines of text, through its tokenizer', async () => {
    const declared = join(folder, 'preprocess.json')
    writeFileSync(declared, JSON.stringify({ version: 1, text: { tokenizer: 'tokenizer.json', length } }))
    const preprocess = await readPreprocess(declared)
    const source = await openSource(join(folder, 'lines.jsonl'), { preprocess, input: ['text'] })
    const out = join(folder, 'lines')
    const manifest = await exportTargets({ ...common, source, out, batch: 32 })
    expect(manifest).toMatchObject({ rows: source.rows, positions: length })
    expect(manifest.fidelity!.temperatures.every(({ klBuckets }) => klBuckets.mean < 1e-4)).toBe(true)
    await source.close()
  })

  it('teaches a student of the same text, which is a teacher of it at once', async () => {
    const targets = await openTargets(join(folder, 'lines'))
    const { preprocess, source: exported } = targets.manifest
    const source = await openSource(exported.uri, { ...exported.options, preprocess: preprocess as Preprocess })
    const dataset = await loadDataset({ targets, source })
    await targets.close()
    const engine = await openEngine('onnx')
    const student = fileURLToPath(new URL('../student/bigram-student.ts', import.meta.url))
    const out = join(folder, 'student')
    const options = { dataset, engine, student, batch: 8, learningRate: 0.02, schedule } as const
    const untrained = await trainOnDataset({ ...options, epochs: 1, learningRate: 1e-20 })
    const { history, metrics } = await trainOnDataset({ ...options, epochs: 4, out })
    for (let epoch = 1; epoch < 4; epoch++) expect(history[epoch]!.loss).toBeLessThan(history[epoch - 1]!.loss)
    expect(metrics!.kl).toBeLessThan(untrained.metrics!.kl / 2)
    expect(metrics!.nll).toBeLessThan(untrained.metrics!.nll! - 1)
    await engine.dispose()

    const again = { ...common, source, teacher: join(out, 'student.onnx') }
    const manifest = await exportTargets({ ...again, out: join(folder, 'again'), batch: 32 })
    expect(manifest).toMatchObject({ rows: source.rows, classes, positions: length })
    await source.close()
  })
})

const schedule = { kind: 'constant', warmup: 0 } as const
