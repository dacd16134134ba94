import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { beforeAll, expect, it } from 'vitest'
import { useBackend } from '../../src/engine/eager.js'
import type { StudentInput } from '../../src/student/inputs.js'
import { hashModule } from '../../src/student/module.js'
import { buildStudent } from '../../src/student/student.js'
import { temporaryFolder } from './fixtures.js'

beforeAll(() => useBackend('cpu'))

const options = { input: { kind: 'image', shape: [4, 4, 1] } as StudentInput, positions: 1, classes: 3, seed: 1 }
const layers = JSON.stringify(
  pathToFileURL(join(import.meta.dirname, '../../node_modules/@tensorflow/tfjs-layers/dist/tf-layers.node.js')).href,
)

async function moduleOf(body: string, name = 'my-student.ts'): Promise<string> {
  const path = join(await temporaryFolder(), name)
  await writeFile(path, `import * as tf from ${layers}\n${body}`)
  return path
}
const dense = (units: string) => `tf.sequential({ layers: [
  tf.layers.flatten({ inputShape: options.inputShape }),
  tf.layers.dense({ units: ${units}, kernelInitializer: tf.initializers.glorotUniform({ seed: options.seed }) })] })`

it("builds a user's own module in TypeScript, the same from the same seed", async () => {
  const path = await moduleOf(`type Options = { inputShape: number[]; classes: number; seed: number }
    export default (options: Options) => ${dense('options.classes')}`)
  const weights = async (seed: number) =>
    Array.from((await buildStudent(path, { ...options, seed })).getWeights()[0]!.dataSync())
  expect(await weights(1)).toEqual(await weights(1))
  expect(await weights(2)).not.toEqual(await weights(1))
})

it.each([
  ['export default 3', /expected a function as default export/],
  ['export default () => ({})', /did not return a tfjs LayersModel/],
  [`export default (options) => ${dense('7')}`, /output expected \[N, 3\], found \[N, 7\]/],
])('refuses a module with %s', async (body, message) => {
  await expect(buildStudent(await moduleOf(body, 'bad.mjs'), options)).rejects.toThrow(message)
})

it('refuses a module that is not there, in one line', async () => {
  await expect(hashModule('./nowhere.ts')).rejects.toThrow(/module \.\/nowhere\.ts: ENOENT/)
})

it('knows a module by its content, the zoo by its name alone', async () => {
  expect(await hashModule('mlp:8')).toBeUndefined()
  expect(await hashModule(await moduleOf('export default 1'))).not.toBe(
    await hashModule(await moduleOf('export default 2')),
  )
})
