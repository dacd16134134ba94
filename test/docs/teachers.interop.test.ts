import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { findLogits, readModel } from '../../src/onnx/index.js'
import { commandFolder } from '../helpers/commands.js'
import { temporaryFolder } from '../helpers/folder.js'
import { blocksOf } from '../helpers/markdown.js'
import { hasPackage, python } from '../helpers/python.js'

process.env.KERAS_BACKEND = 'torch' // keras cannot be imported without a backend
const packages = ['torch', 'onnxscript', 'keras', 'sklearn', 'skl2onnx']

test.skipIf(!packages.every(hasPackage))('the snippets of docs/teachers.md make teachers, as they stand', async () => {
  const dir = temporaryFolder()
  const env = { ...process.env, PATH: `${commandFolder()}:${process.env.PATH}` }
  for (const { language, text } of blocksOf('docs/teachers.md')) {
    if (language === 'python') execFileSync(python, ['-c', text], { cwd: dir, env })
    if (language === 'sh') execFileSync('bash', ['-euo', 'pipefail', '-c', text], { cwd: dir, env })
  }
  const kinds = ['torch', 'keras', 'forest'].map(async (name) => {
    const path = join(dir, `${name}.onnx`)
    expect(existsSync(path), path).toBe(true)
    return findLogits(await readModel(path)).kind
  })
  expect(await Promise.all(kinds)).toEqual(['logits', 'softmax removed', 'log of probabilities'])
  const inspected = execFileSync('decant', ['inspect', 'targets', '--json'], { cwd: dir, env, encoding: 'utf8' })
  expect(JSON.parse(inspected).description.accuracy).toBeGreaterThan(0.99) // on what the forest was fitted to
})
