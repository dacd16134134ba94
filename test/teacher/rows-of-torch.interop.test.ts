import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, describe, expect, it, onTestFinished } from 'vitest'
import { openTargets } from '../../src/cache/index.js'
import { type ExportEvent, exportTargets, rerunTeacher } from '../../src/teacher/index.js'
import { temporaryFolder } from '../helpers/folder.js'
import { hasPackage, python } from '../helpers/python.js'
import { sourceOf } from '../helpers/sources.js'

interface Cases {
  shape: number[]
  rows: number[]
  /** What PyTorch in float64, or of a quantized model Python's ONNX Runtime, gives for each row by itself. */
  cases: { title: string; file: string; alone: number[][] }[]
}

function exportCases(folder: string): Cases | undefined {
  if (!['torch', 'onnxscript', 'onnxruntime'].every(hasPackage)) return undefined
  const script = fileURLToPath(new URL('rows-of-torch.py', import.meta.url))
  execFileSync(python, [script, folder], { stdio: ['ignore', 'ignore', 'pipe'] })
  return JSON.parse(readFileSync(join(folder, 'cases.json'), 'utf8')) as Cases
}

const folder = mkdtempSync(join(tmpdir(), 'decant-rows-'))
afterAll(() => rmSync(folder, { recursive: true }))
const exported = exportCases(folder)
const { shape, rows, cases } = exported ?? { shape: [], rows: [], cases: [] }
const source = sourceOf({ kind: 'features', dtype: 'float32', shape }, Float32Array.from(rows))

describe.skipIf(!exported)('rows of a PyTorch classifier are cached as each is by itself', () => {
  const expected: Record<string, object> = {
    'evaluation mode': { batch: 7 },
    'BatchNorm2d in training mode': { batch: 1, rows: 'alone' },
    quantize_dynamic: { batch: 1, rows: 'alone' },
    'class token, batch of 1, legacy': { batch: 1, fixedBatch: 1 },
    'class token, batch of 4, legacy': { batch: 4, fixedBatch: 4 },
    'class token, batch of 1, dynamo': { batch: 1, fixedBatch: 1 },
    'class token, batch of 4, dynamo': { batch: 4, fixedBatch: 4 },
    'time first inside, batch of 4': { batch: 4, fixedBatch: 4 },
    'declared open, made for 1': { batch: 1, fixedBatch: 1 },
    'declared open, made for 4': { batch: 4, fixedBatch: 4 },
  }
  it.each(Object.entries(expected))('%s', async (title, runtime) => {
    const { file, alone } = cases.find((one) => one.title === title)!
    const teacher = join(folder, file)
    const out = join(temporaryFolder(), 'targets')
    const manifest = await exportTargets({ source, teacher, out, codec: 'f32', provider: 'cpu', batch: 7 })
    const { decant: _, onnxruntime: __, provider: ___, precision: ____, ...found } = manifest.runtime
    expect(found).toEqual(runtime)
    const targets = await openTargets(out)
    onTestFinished(() => targets.close())
    const { logits } = await targets.load()
    const exact = alone.flat()
    expect(logits).toHaveLength(exact.length)
    // an int8 layer behind another: sums of products are whole numbers, but a scale rounds to another float32 in another order
    const most = title === 'quantize_dynamic' ? 1e-4 : 1e-5
    expect(Math.max(...exact.map((z, i) => Math.abs(z - logits[i]!)))).toBeLessThan(most)
    const rerun = await rerunTeacher({ targets, source, teacher, provider: 'cpu' })
    expect(rerun).toMatchObject({ within: true, agreement: 1 })
    expect(rerun.maxDifference).toBeLessThan(1e-5)
  })

  const refused: [string, RegExp][] = [
    [
      'BatchNorm1d in training mode',
      /alone all \d+ rows .* give the same: node '.*' \(BatchNormalization\).*model\.eval/,
    ],
    ['stochastic depth in training mode', /two equal runs .* differ .*: node '.*' \(RandomUniformLike\).*model\.eval/],
  ]
  it.each(refused)('%s is refused', async (title, message) => {
    const { file } = cases.find((one) => one.title === title)!
    const events: ExportEvent[] = []
    const options = {
      source,
      teacher: join(folder, file),
      out: join(temporaryFolder(), 'targets'),
      provider: 'cpu' as const,
    }
    await expect(exportTargets({ ...options, onEvent: (event) => events.push(event) })).rejects.toThrow(message)
    expect(events.map(({ type }) => type)).toEqual(['provider'])
  })
})
