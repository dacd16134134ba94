import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { build } from 'esbuild'
import { beforeAll, describe, expect, onTestFinished, test } from 'vitest'

const root = fileURLToPath(new URL('../..', import.meta.url))

/** A folder from which the dependencies are found, as from the package where it is installed. */
async function folder(): Promise<string> {
  const path = await mkdtemp(join(root, 'node_modules/.decant-module-'))
  onTestFinished(() => rm(path, { recursive: true, force: true }))
  return path
}

describe("a user's module in the built package, which Node runs without a loader of TypeScript", () => {
  const bundle = async (parts: string[]) => {
    const contents = parts.map((part) => `export * from './src/${part}.ts'`).join('\n')
    const options = { bundle: true, format: 'esm', platform: 'node', packages: 'external', write: false } as const
    return (await build({ stdin: { contents, resolveDir: root }, ...options })).outputFiles[0]!.text
  }
  let finder: string
  beforeAll(async () => {
    finder = await bundle(['student/module'])
  })

  /** What a script prints that imports the package as `dist/built.mjs`. */
  async function run(script: string, built: string, files: Record<string, string>): Promise<unknown> {
    const at = await folder()
    await mkdir(join(at, 'dist'))
    const own = { 'dist/built.mjs': built, 'script.mjs': script, 'package.json': '{ "version": "0" }' }
    for (const [name, text] of Object.entries({ ...own, ...files })) await writeFile(join(at, name), text)
    const { stdout, stderr } = await promisify(execFile)(process.execPath, ['script.mjs'], { cwd: at })
    expect(stderr).toBe('')
    return JSON.parse(stdout)
  }

  /** What findModule gives, or the error's words. */
  const found = (files: Record<string, string>) =>
    run(
      `import { findModule } from './dist/built.mjs'
const said = findModule('./my-student.ts').catch(({ name, message }) => ({ name, message }))
console.log(JSON.stringify(await said))`,
      finder,
      files,
    )

  test('is TypeScript with all that TypeScript has, on every Node alike', async () => {
    const files = {
      'my-student.ts': `import { Units } from './units.js' // units.ts, as the compiler wants it
import { LayersModel, layers } from '@tensorflow/tfjs-layers'
class Given { constructor(readonly model: LayersModel | typeof layers) {} }
export default [Units.small, 'dense' in new Given(layers).model]`,
      'units.ts': 'export enum Units { small = 8 }',
      'package.json': '{ "type": "module" }',
    }
    expect(await found(files)).toEqual([8, true])
  })

  test('that cannot be read is an error of the user, naming it', async () => {
    expect(await found({ 'my-student.ts': 'export default {' })).toMatchObject({
      name: 'DecantError',
      message: expect.stringMatching(/^module \.\/my-student\.ts: .*my-student\.ts:1:16: ERROR: /s),
    })
    expect(await found({ 'my-student.ts': "import './nowhere.js'" })).toMatchObject({
      name: 'DecantError',
      message: expect.stringMatching(/^module \.\/my-student\.ts: Cannot find module .*nowhere\.js/),
    })
  })

  test('is evaluated once a training', async () => {
    const files = {
      'my-student.ts': `import { layers, sequential } from '@tensorflow/tfjs-layers'
globalThis.evaluated.push('student')
export default ({ inputShape, classes: units }) => sequential({ layers: [layers.dense({ inputShape, units })] })`,
      'my-method.ts': `import * as tf from '@tensorflow/tfjs-core'
globalThis.evaluated.push('method')
export default {
  needs: { teacher: false, labels: false },
  loss: ({ studentLogits }): tf.Scalar => tf.mean(tf.square(studentLogits)),
}`,
      'package.json': '{ "type": "module", "version": "0" }',
    }
    const script = `import { openEngine, trainOnDataset } from './dist/built.mjs'
globalThis.evaluated = []
const [rows, classes] = [4, 3]
const dataset = {
  rows, classes, names: null, normalisation: null, positions: 1, lengths: null, preprocess: { version: 1 },
  input: { kind: 'features', shape: [2] }, inputs: { values: new Float32Array(2 * rows) },
  targets: { codec: 'f32', classes, columns: [{ name: 'logits', dtype: 'float32', width: classes, values: new Float32Array(rows * classes) }] },
  labels: new Int32Array(rows), samples: new Int32Array(rows), hashes: new Uint32Array(rows), manifest: '', teacher: '', lineage: [],
}
const engine = await openEngine('onnx', { threads: 1 })
await trainOnDataset({ dataset, engine, student: './my-student.ts', method: './my-method.ts', epochs: 1, out: 'out' })
console.log(JSON.stringify(globalThis.evaluated))`
    const trainer = await bundle(['student/train', 'engine/engine'])
    expect(await run(script, trainer, files)).toEqual(['method', 'student'])
  })
})
