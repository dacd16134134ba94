import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import type { Result } from '../../../scripts/prove/run-case.js'
import { temporaryFolder } from '../../helpers/folder.js'
import { hasPackage } from '../../helpers/python.js'

process.env.KERAS_BACKEND = 'torch' // keras cannot be imported without a backend
const packages = [
  'torch',
  'onnxscript',
  'keras',
  'sklearn',
  'skl2onnx',
  'onnxruntime',
  'lightgbm',
  'xgboost',
  'onnxmltools',
]

test.skipIf(!packages.every(hasPackage))('twelve teachers of other exporters are cached as they are', () => {
  const cases = temporaryFolder()
  execFileSync('npx', ['tsx', 'scripts/prove/main.ts', '--ci', '--cases', cases], {
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  const results = JSON.parse(readFileSync(join(cases, 'results.json'), 'utf8')) as Result[]
  const verdicts = results.map(({ entry, verdict, line }) => `${entry.exporter}: ${entry.title}: ${verdict} ${line}`)
  expect(verdicts.filter((said) => !said.endsWith(': right '))).toEqual([])
  expect(results.length).toBe(12)
})
