import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, describe, expect, it } from 'vitest'
import { openTargets } from '../../src/cache/index.js'
import type { Source } from '../../src/source/index.js'
import { exportTargets } from '../../src/teacher/index.js'
import { hasPackage, python } from '../helpers/python.js'
import { sourceOf } from '../helpers/sources.js'

const folder = mkdtempSync(join(tmpdir(), 'decant-last-token-'))
afterAll(() => rmSync(folder, { recursive: true }))

interface Case {
  name: string
  file: string
  pad: number
  /** Of each text, padded to the longest, and by itself. */
  logits: Record<'left' | 'right', number[][]>
  alone: number[][]
  /** It takes position_ids. */
  positions: boolean
}
interface Expected {
  texts: number[][]
  length: number
  cases: Case[]
}

function exportModels(): Expected {
  if (!['transformers', 'onnx', 'onnxscript'].every(hasPackage)) return { texts: [], length: 0, cases: [] }
  const script = fileURLToPath(new URL('last-token-teachers.py', import.meta.url))
  execFileSync(python, [script, folder], { stdio: ['ignore', 'ignore', 'pipe'] })
  return JSON.parse(readFileSync(join(folder, 'expected.json'), 'utf8')) as Expected
}

const { texts, length, cases } = exportModels()
const tokens = Int32Array.from(texts.flatMap((ids) => Array.from({ length }, (_, i) => ids[i] ?? -1)))
const source = sourceOf({ kind: 'tokens', dtype: 'int32', shape: [length] }, tokens)

const apart = (found: number[], expected: number[][]) =>
  Math.max(...expected.flat().map((z, i) => Math.abs(z - found[i]!)))

describe.skipIf(cases.length === 0)('classifiers of transformers that find padding by its id', () => {
  it.each(cases.map((one) => [one.name, one] as const))('%s: says what it says in Python', async (_, one) => {
    const { file, pad, logits, alone, positions } = one
    const common = { teacher: join(folder, file), provider: 'cpu', codec: 'f32', batch: 4 } as const
    const declared = (text: object): Source => ({ ...source, preprocess: { version: 1, text: { length, ...text } } })
    for (const padSide of ['right', 'left'] as const) {
      const out = join(folder, `${file}-${padSide}`)
      const text = padSide === 'left' ? { padSide } : {} // its id is found in the graph
      const manifest = await exportTargets({ ...common, source: declared(text), logitsAre: 'logits', out })
      expect(manifest.preprocess).toMatchObject({ text: { pad } })
      const targets = await openTargets(out)
      const found = [...(await targets.load()).logits]
      await targets.close()
      expect(apart(found, logits[padSide])).toBeLessThan(1e-4)
      // where positions are counted from the first token, padding says nothing, on whichever side
      if (padSide === 'right' || positions) expect(apart(found, alone)).toBeLessThan(1e-4)
    }
    await expect(exportTargets({ ...common, source: declared({ pad: 0 }), out: join(folder, 'zero') })).rejects.toThrow(
      `takes id ${pad} for padding, but it would be fed 0 (text.pad)`,
    )
  })
})
