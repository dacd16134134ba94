import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, describe, expect, test } from 'vitest'
import { openTargets } from '../../src/cache/index.js'
import { openSource } from '../../src/source/index.js'
import { exportTargets, rerunTeacher } from '../../src/teacher/index.js'
import { hasPackage, python } from '../helpers/python.js'
import { rowsOf, softmax } from '../onnx/models.js'

interface Case {
  name: string
  file: string
  kind: string
  tolerance: number
  probabilities: number[][]
}

const packages = ['torch', 'onnxscript', 'sklearn', 'skl2onnx']
const available = packages.every(hasPackage)
if (available) hasPackage('onnxruntime') // says what is left out without it
const folder = mkdtempSync(join(tmpdir(), 'decant-heads-'))
afterAll(() => rmSync(folder, { recursive: true }))

function cases(): Case[] {
  if (!available) return []
  const script = fileURLToPath(new URL('export-heads.py', import.meta.url))
  execFileSync(python, [script, folder], { stdio: ['ignore', 'ignore', 'pipe'] })
  return JSON.parse(readFileSync(join(folder, 'cases.json'), 'utf8')) as Case[]
}

describe.skipIf(!available)('the softmax of what is cached is what the library says, of real exports', () => {
  test.each(cases().map((found) => [found.name, found] as const))('%s', async (_, { file, ...expected }) => {
    const source = await openSource(join(folder, 'rows.npy'))
    const teacher = join(folder, file)
    const out = join(folder, `${file}-targets`)
    const manifest = await exportTargets({ source, teacher, out, codec: 'f32', provider: 'cpu', batch: 100 })
    expect(manifest.teacher).toMatchObject({ logits: expected.kind })
    expect(manifest.teacher).not.toHaveProperty('rule')
    const targets = await openTargets(out)
    const rows = rowsOf([...(await targets.load()).logits], targets.classes).map(softmax)
    const apart = rows.flatMap((row, i) => row.map((p, c) => Math.abs(p - expected.probabilities[i]![c]!)))
    expect(Math.max(...apart)).toBeLessThan(expected.tolerance)
    const again = await rerunTeacher({ targets, source, teacher, provider: 'cpu' })
    expect(again).toMatchObject({ within: true, agreement: 1 })
    await targets.close()
    await source.close()
  })
})
