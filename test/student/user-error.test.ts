import { beforeAll, describe, expect, it } from 'vitest'
import { type Engine, openEngine } from '../../src/engine/engine.js'
import { DecantError } from '../../src/errors.js'
import { type TrainDataOptions, trainOnDataset } from '../../src/student/train.js'
import { type Example, makeExample } from './fixtures.js'
import { userModule } from './user-module.js'

// What goes wrong in a user's module is the user's error: one line, exit code 2, with the user's own line where there is one.

let example: Example
const engines: Partial<Record<'eager' | 'onnx', Engine>> = {}
beforeAll(async () => {
  example = await makeExample(24)
  engines.eager = await openEngine('eager')
  engines.onnx = await openEngine('onnx', { threads: 1 })
})

/** The error of a training on each engine. */
async function refusals(options: Partial<TrainDataOptions>): Promise<DecantError[]> {
  const train = (engine: Engine) =>
    trainOnDataset({ dataset: example.dataset, engine, student: 'linear', epochs: 1, batch: 8, ...options })
  const errors = await Promise.all(
    Object.values(engines).map((engine) =>
      train(engine).then(
        () => undefined,
        (error: unknown) => error,
      ),
    ),
  )
  for (const error of errors) expect(error).toBeInstanceOf(DecantError)
  for (const error of errors as DecantError[]) expect(error.message).not.toContain('\n')
  return errors as DecantError[]
}

const student = (layers: string) => `export default ({ inputShape, classes: units }) =>
  tfl.sequential({ layers: [${layers},
    tfl.layers.flatten(), tfl.layers.dense({ units })] })`
const method = (loss: string) => `export default {
  needs: { teacher: 'buckets', labels: false },
  parameters: { temperature: 3 },
  loss({ teacher, studentLogits, labels, weights, temperature }) {
    ${loss}
  },
}`

describe("a student of one's own", () => {
  it('that throws is told with its line', async () => {
    const path = await userModule("export default () => {\n  throw new Error('no such size')\n}", 'student.ts')
    for (const { message } of await refusals({ student: path }))
      expect(message).toMatch(/^module \S+student\.ts: no such size, at .*student\.ts:3:\d+/)
  })

  it.each([
    ['BatchNormalization', 'tfl.layers.batchNormalization({ inputShape, scale: false })'],
    [
      'ThresholdedReLU',
      'tfl.layers.conv2d({ inputShape, filters: 2, kernelSize: 2 }), tfl.layers.thresholdedReLU()',
      /tfjs cannot do this: .*gradient function not found/,
    ],
    [
      'Conv2D',
      'tfl.layers.conv2d({ inputShape, filters: 2, kernelSize: 2, dilationRate: 2 })',
      /tfjs cannot do this: .*dilation rates greater than 1 are not yet supported/,
    ],
    [
      'Resizing',
      'tfl.layers.resizing({ inputShape, height: 3, width: 3 })',
      /a tensor in a list, .*, in tfjs's layer Resizing/,
    ],
  ])('with a %s that tfjs itself cannot train is told so', async (layer, made, expected?: RegExp) => {
    for (const { message } of await refusals({ student: await userModule(student(made), 'student.ts') }))
      expect(message).toMatch(expected ?? `tfjs's layer ${layer} cannot do this: `)
  })
})

describe("a method of one's own", () => {
  it.each([
    ['throws', "throw new TypeError('not yet')", /: not yet, at .*method\.ts:6:\d+/],
    [
      'gives tfjs what it cannot take',
      'return tf.sum(tf.gather(studentLogits, weights))',
      /: .*, at .*method\.ts:6:\d+/,
    ],
    [
      'hands a list to an operation',
      'return tf.sum(tf.add(studentLogits, [teacher.logTop(temperature)]))',
      /a tensor in a list, where .*, at .*method\.ts:6:\d+/,
    ],
    [
      'reads what it does not need',
      'return tf.mean(teacher.drawn(temperature))',
      /teacher: 'draws'.*, at .*method\.ts:6:\d+/,
    ],
    [
      'gives a loss for each row',
      'return tf.mul(weights, tf.sum(studentLogits, -1))',
      /method \S+: its loss: expected a float32 number, .*, found float32 \[8\]/,
    ],
    ['gives a whole number', "return tf.cast(tf.sum(studentLogits), 'int32')", /its loss: .* found int32 \[\]/],
    ['gives nothing', '', /its loss: .* found undefined/],
    [
      'does not look at the student',
      'return tf.sum(weights)',
      /tfjs cannot do this: Cannot find a connection between any variable and the result/,
    ],
  ])('that %s is told in one line', async (_, loss, expected) => {
    for (const { message } of await refusals({ method: await userModule(method(loss), 'method.ts') }))
      expect(message).toMatch(expected)
  })
})
