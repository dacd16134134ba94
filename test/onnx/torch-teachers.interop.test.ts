import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, describe, expect, test } from 'vitest'
import { sessionSource } from '../../src/onnx/external-data.js'
import { findLogits, type LogitsKind } from '../../src/onnx/find-logits.js'
import { fuseTeacher } from '../../src/onnx/fuse-teacher.js'
import { readModel } from '../../src/onnx/read-model.js'
import { bytes, runModel } from './models.js'

const python = process.env.DECANT_PYTHON ?? 'python3'
const folder = mkdtempSync(join(tmpdir(), 'decant-torch-'))
afterAll(() => rmSync(folder, { recursive: true }))

interface Cases {
  pixels: number[]
  shape: number[]
  classes: number
  cases: { title: string; file: string; head: string; half: boolean; kept: boolean; expected: number[] }[]
}

function exportCases(): Cases | undefined {
  try {
    execFileSync(python, ['-c', 'import torch, onnx, onnxscript'], { stdio: 'ignore' })
  } catch {
    console.warn(`SKIPPED: teachers from PyTorch, since ${python} (DECANT_PYTHON) has no torch, onnx and onnxscript`)
    return undefined
  }
  const script = fileURLToPath(new URL('torch-teachers.py', import.meta.url))
  execFileSync(python, [script, folder], { stdio: ['ignore', 'ignore', 'pipe'] })
  return JSON.parse(readFileSync(join(folder, 'cases.json'), 'utf8')) as Cases
}

const exported = exportCases()
const kinds: Record<string, LogitsKind> = {
  logits: 'logits',
  softmax: 'softmax removed',
  'log-softmax': 'log-softmax removed',
  sigmoid: 'log of probabilities',
}

describe.skipIf(!exported)('teachers from PyTorch give the logits that PyTorch gives in float64', () => {
  const { pixels, shape, classes, cases } = exported ?? { pixels: [], shape: [0, 0, 0, 0], classes: 0, cases: [] }
  const [rows, height, width, channels] = shape as [number, number, number, number]
  const image = {
    kind: 'image' as const,
    height,
    width,
    channels,
    layout: 'NCHW' as const,
    multiply: new Float32Array(3).fill(1 / 255 / 0.25),
    add: new Float32Array(3).fill(-2),
  }

  test.each(cases.map((c) => [c.title, c] as const))('%s', async (_, { file, head, half, kept, expected }) => {
    const model = await readModel(join(folder, file))
    const found = findLogits(model)
    expect(found).toMatchObject({ kind: kinds[head], classes, from: 'y' })
    for (const target of ['f32', 'f16'] as const) {
      const fused = fuseTeacher(found.proto, { output: found.output, front: image, target })
      // its sizes were computed, or its class token repeated, for that one row
      expect(fused.fixedBatch?.rows).toBe(kept ? 1 : undefined)
      if (kept) continue // test/teacher/rows-of-torch.interop.test.ts runs such
      const { model: source, options } = sessionSource(model, fused.proto)
      const result = await runModel(
        source,
        { pixels: bytes(pixels, shape) },
        { ...options, graphOptimizationLevel: 'all' },
      )
      expect(result.logits!.dims).toEqual([rows, classes])
      const shift = (row: number) => result.shift?.values[row] ?? 0
      const worst = Math.max(
        ...result.logits!.values.map((v, i) => Math.abs(v + shift(Math.floor(i / classes)) - expected[i]!)),
      )
      expect(worst).toBeLessThan(half ? 1e-2 : target === 'f16' ? 2e-3 : 1e-5)
      if (!model.external) writeFileSync(join(folder, `fused-${target}-${file}`), source)
    }
  })

  test('what was fused passes the ONNX checker, shape inference included', () => {
    const check = `
import glob, onnx, sys
files = glob.glob(sys.argv[1] + '/fused-*.onnx')
for file in files: onnx.checker.check_model(onnx.load(file), full_check=True)
print(len(files))`
    const checked = execFileSync(python, ['-c', check, folder], { encoding: 'utf8' })
    expect(Number(checked)).toBe(2 * cases.filter(({ title, kept }) => !kept && !title.includes('external')).length)
  })
})
