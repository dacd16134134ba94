import { beforeAll, expect, it } from 'vitest'
import { useBackend } from '../../src/engine/eager.js'
import type { StudentInput } from '../../src/student/inputs.js'
import { hashModule } from '../../src/student/module.js'
import { buildStudent } from '../../src/student/student.js'
import { userModule } from './user-module.js'

beforeAll(() => useBackend('cpu'))

const options = { input: { kind: 'image', shape: [4, 4, 1] } as StudentInput, positions: 1, classes: 3, seed: 1 }
const dense = (units: string) => `tfl.sequential({ layers: [
  tfl.layers.flatten({ inputShape: options.inputShape }),
  tfl.layers.dense({ units: ${units}, kernelInitializer: tfl.initializers.glorotUniform({ seed: options.seed }) })] })`

it("builds a user's own module in TypeScript, the same from the same seed", async () => {
  const path = await userModule(`type Options = { inputShape: number[]; classes: number; seed: number }
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
  [
    `export default ({ inputShape, classes: units }) => {
      const inputs = tfl.input({ shape: inputShape })
      const logits = () => tfl.layers.dense({ units }).apply(tfl.layers.flatten().apply(inputs))
      return tfl.model({ inputs, outputs: [logits(), logits()] })
    }`,
    /output expected \[N, 3\], found \[N, 3\] and \[N, 3\]/,
  ],
])('refuses a module with %s', async (body, message) => {
  await expect(buildStudent(await userModule(body, 'bad.mjs'), options)).rejects.toThrow(message)
})

it('refuses a module that is not there, in one line', async () => {
  await expect(hashModule('./nowhere.ts')).rejects.toThrow(/module \.\/nowhere\.ts: ENOENT/)
})

it('knows a module by its content, the zoo by its name alone', async () => {
  expect(await hashModule('mlp:8')).toBeUndefined()
  expect(await hashModule(await userModule('export default 1'))).not.toBe(
    await hashModule(await userModule('export default 2')),
  )
})

const ends = (last: string) => `export default ({ inputShape, classes: units }) =>
  tfl.sequential({ layers: [tfl.layers.flatten({ inputShape }), ${last}] })`

it.each([
  ['softmax', 'tfl.layers.dense({ units, activation: "softmax" })'],
  ['softmax', 'tfl.layers.dense({ units }), tfl.layers.softmax()'],
  [
    'softmax',
    'tfl.layers.dense({ units }), new (class extends tfl.layers.Layer { static className = "Own"; call(x) { return tf.softmax(x[0] ?? x) } })({})',
  ],
  ['sigmoid', 'tfl.layers.dense({ units, activation: "sigmoid" })'],
])('refuses a student that ends in a %s, which losses would take for logits: %s', async (name, last) => {
  await expect(buildStudent(await userModule(ends(last), 'ends.mjs'), options)).rejects.toThrow(
    `it ends in a ${name}: expected raw logits: leave the activation of its last layer out`,
  )
})

it('takes a student whose softmax is not its last layer', async () => {
  const body = ends('tfl.layers.dense({ units: 4, activation: "softmax" }), tfl.layers.dense({ units })')
  await expect(buildStudent(await userModule(body, 'inside.mjs'), options)).resolves.toBeDefined()
})
