import { beforeAll, describe, expect, it } from 'vitest'
import { type Engine, openEngine } from '../../src/engine/engine.js'
import { trainOnDataset } from '../../src/student/train.js'
import { row } from './tiny-students.js'
import { datasetOf } from './train-tiny.js'
import { userModule } from './user-module.js'

// Where a loss is no number: which rows and which term, where a lower learning rate cannot help. Of eight rows the labels are 0, 1, 2, 0, 1, 2, 0, 1.

const engines: Partial<Record<'eager' | 'onnx', Engine>> = {}
beforeAll(async () => {
  engines.eager = await openEngine('eager')
  engines.onnx = await openEngine('onnx', { threads: 1 })
})

const method = (loss: string, parameters = '{}') => `export default {
  needs: { teacher: 'buckets', labels: false },
  parameters: ${parameters},
  loss({ studentLogits, labels, weights, temperature, alpha }) {
    const rows = tf.sum(tf.square(studentLogits), -1)
    const mean = (x) => tf.div(tf.sum(tf.mul(x, weights)), tf.sum(weights))
    const isTwo = tf.cast(tf.equal(labels, 2), 'float32')
    ${loss}
  },
}`

describe.each(['eager', 'onnx'] as const)('a loss that is no number, on engine %s', (engine) => {
  const messageOf = async (options: {
    method?: string
    student?: string
    damage?: (values: Float32Array) => void
    learningRate?: number
  }): Promise<string> => {
    const dataset = datasetOf({ input: row })
    const { damage = () => {}, method = 'kd', student = 'linear', learningRate = 0.1 } = options
    damage(dataset.inputs.values as Float32Array)
    const error = await trainOnDataset({
      ...{ dataset, engine: engines[engine]!, student, method, learningRate, epochs: 40, batch: 4, holdout: 0 },
      optimizer: { name: 'sgd', momentum: 0 },
    }).catch((error: unknown) => error)
    return (error as Error).message
  }

  it('for a row whose inputs are none names it', async () => {
    const damage = (values: Float32Array) => {
      values[5 * (values.length / 8) + 1] = Number.NaN
    }
    expect(await messageOf({ damage })).toMatch(
      /^student linear: the loss is NaN at step [01]: row 5 of the targets: its inputs are not all finite numbers$/,
    )
  })

  it('for some rows names them, and the term of the method', async () => {
    const loss = 'return tf.sub(mean(rows), tf.mul(alpha, mean(tf.log(tf.sub(1, isTwo)))))'
    const path = await userModule(method(loss, '{ temperature: 3, alpha: 0.5 }'), 'm.ts')
    expect(await messageOf({ method: path })).toMatch(
      /the loss is Infinity at step [01]: rows? (2|5|2, 5|5, 2) of the targets: what method \S+ at T = 3 adds to the cross-entropy is Infinity$/,
    )
  })

  it('for many names the first', async () => {
    const path = await userModule(method('return mean(tf.div(rows, 0))'), 'm.ts')
    expect(await messageOf({ method: path })).toMatch(
      /: rows \d, \d, \d and others of the targets: the loss of method \S+ is Infinity$/,
    )
  })

  it('after a gradient that is none names that', async () => {
    const path = await userModule(method('return tf.add(mean(rows), tf.sqrt(tf.sum(tf.mul(rows, 0))))'), 'm.ts')
    expect(await messageOf({ method: path })).toMatch(
      /the loss is NaN at step 1: rows .* of the targets: the gradient of method \S+ is no number$/,
    )
  })

  it('that only several rows together have says so', async () => {
    const differ = 'tf.cast(tf.equal(tf.max(labels), tf.min(labels)), "float32")'
    const path = await userModule(method(`return tf.sub(mean(rows), tf.log(${differ}))`), 'm.ts')
    expect(await messageOf({ method: path })).toMatch(
      /: the rows of its batch together: the loss of method \S+ is Infinity$/,
    )
  })

  it('of a student that has none from the start says so', async () => {
    const dense =
      'tfl.layers.dense({ units, inputShape, kernelInitializer: tfl.initializers.constant({ value: 3e38 }) })'
    const body = `export default ({ inputShape, classes: units }) => tfl.sequential({ layers: [${dense}] })`
    expect(await messageOf({ student: await userModule(body, 's.ts') })).toMatch(
      /: the student's logits are no numbers before it has learned anything$/,
    )
  })

  it('for rows that had one with the first weights is a matter of the learning rate', async () => {
    expect(await messageOf({ student: 'mlp:4', learningRate: 1e30 })).toMatch(
      /the loss is (NaN|-?Infinity) at step \d+; a lower learning rate may help: with its first weights the student has a loss for these rows$/,
    )
  })
})
