import { execFile } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
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
  let built: string
  beforeAll(async () => {
    const entryPoints = [join(root, 'src/student/module.ts')]
    const options = { bundle: true, format: 'esm', platform: 'node', packages: 'external', write: false } as const
    built = (await build({ entryPoints, ...options })).outputFiles[0]!.text
  })

  /** What findModule gives, or the error's words. */
  async function found(files: Record<string, string>): Promise<unknown> {
    const at = await folder()
    const find = `import { findModule } from './built.mjs'
const said = findModule(process.argv[2]).catch(({ name, message }) => ({ name, message }))
console.log(JSON.stringify(await said))`
    for (const [name, text] of Object.entries({ 'built.mjs': built, 'find.mjs': find, ...files }))
      await writeFile(join(at, name), text)
    const { stdout, stderr } = await promisify(execFile)(process.execPath, ['find.mjs', './my-student.ts'], { cwd: at })
    expect(stderr).toBe('')
    return JSON.parse(stdout)
  }

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
})
