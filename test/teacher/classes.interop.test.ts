import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, describe, expect, test } from 'vitest'
import { openTargets } from '../../src/cache/index.js'
import { openSource } from '../../src/source/index.js'
import { type ExportEvent, exportTargets, readTeacherClasses, rerunTeacher } from '../../src/teacher/index.js'
import { hasPackage, python } from '../helpers/python.js'

interface Case {
  name: string
  /** The library's `classes_`. */
  classes: (number | string | boolean)[]
  /** How often its `predict` is right. */
  accuracy: number
}

// of LightGBM, XGBoost and CatBoost those that are installed
const packages = ['sklearn', 'skl2onnx']
const folder = mkdtempSync(join(tmpdir(), 'decant-classes-'))
afterAll(() => rmSync(folder, { recursive: true }))
const cases: Case[] = packages.every(hasPackage) ? writeCases() : []

function writeCases(): Case[] {
  const script = fileURLToPath(new URL('write-classifiers.py', import.meta.url))
  execFileSync(python, [script, folder], { stdio: ['ignore', 'ignore', 'inherit'] })
  return JSON.parse(readFileSync(join(folder, 'cases.json'), 'utf8')) as Case[]
}

describe.skipIf(cases.length === 0)(
  "the library's own classes and accuracy are found in its ONNX file and on its labels",
  () => {
    test.each(cases.map((one) => [one.name, one] as const))('%s', async (name, { classes, accuracy }) => {
      const teacher = join(folder, `${name}.onnx`)
      const own = await readTeacherClasses(teacher)
      expect(own?.names ?? own?.numbers).toEqual(
        classes.map((label) => (typeof label === 'boolean' ? Number(label) : label)),
      )
      const input = Array.from({ length: 6 }, (_, i) => `x${i}`)
      const source = await openSource(join(folder, `${name}.csv`), { input, label: 'label', classes: own! })
      const events: ExportEvent[] = []
      const options = { source, teacher, provider: 'cpu', batch: 64, out: join(folder, name) } as const
      const manifest = await exportTargets({ ...options, onEvent: (event) => events.push(event) })
      const told = events.find(({ type }) => type === 'accuracy')
      expect(told).toMatchObject({ labelled: source.rows, atChance: false })
      // ties and float32 may turn a row of a forest or of neighbours
      expect((told as { accuracy: number }).accuracy).toBeCloseTo(accuracy, 2)
      // skl2onnx 1.20 gives the two scores of a support vector machine as [d, -d]
      expect(manifest.teacher.swapped).toBe(/^svc/.test(name) && classes.length === 2 ? true : undefined)
      const targets = await openTargets(options.out)
      expect((await rerunTeacher({ ...options, targets, rows: 64 })).within).toBe(true)
      await targets.close()
      await source.close()
    })
  },
)
