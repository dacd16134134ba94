import { writeFile } from 'node:fs/promises'
import { beforeAll, describe, expect, it } from 'vitest'
import { type Engine, openEngine } from '../../src/engine/engine.js'
import { completeConfig } from '../../src/student/config.js'
import { findMethod, methods } from '../../src/student/method.js'
import { trainOnDataset } from '../../src/student/train.js'
import { makeExample, temporaryFolder } from './fixtures.js'
import { userModule } from './user-module.js'

/** Kd without labels, its weight a parameter. */
const own = `export default {
  needs: { teacher: 'buckets', labels: false },
  parameters: { temperature: 3, weight: 2 },
  loss({ teacher, studentLogits, temperature, weights, parameters }) {
    const { teacher: p, student: q } = teacher.logProbs(studentLogits, temperature)
    const rows = tf.neg(tf.sum(tf.mul(tf.exp(p), q), -1))
    return tf.mul(parameters.weight, tf.div(tf.sum(tf.mul(rows, weights)), tf.sum(weights)))
  },
}`

describe('a method', () => {
  it.each(methods.map((method) => [method.name, method] as const))('%s is found by its name', async (name, method) => {
    expect(await findMethod(name)).toBe(method)
  })

  it.each([
    ['export default 3', 'its default export: expected an object with a function `loss`'],
    ['export default { loss() {} }', 'expected `needs: { teacher:'],
    ["export default { needs: { teacher: 'all', labels: false }, loss() {} }", 'expected `needs: { teacher:'],
    ["export default { needs: { teacher: false, labels: false }, parameters: { a: 'x' }, loss() {} }", 'found a: x'],
  ])('of a module has to be one: %s', async (body, message) => {
    await expect(findMethod(await userModule(body))).rejects.toThrow(message)
  })
})

describe("a method's parameters", () => {
  const complete = (config: object) => completeConfig(config, { evaluated: true })

  it('are the defaults of its paper where nothing is set', async () => {
    expect(await complete({ method: 'dkd' })).toMatchObject({
      temperature: 4,
      alpha: 1,
      parameters: { tckd: 1, nckd: 8 },
    })
    expect(await complete({ method: 'std-kd', temperature: 3 })).toMatchObject({ temperature: 3, alpha: 9 })
    expect((await complete({ method: 'dkd', parameters: { nckd: 2 } })).parameters).toEqual({
      tckd: 1,
      nckd: 2,
      warmup: 20,
    })
  })

  it.each([
    [{ method: 'dkd', parameters: { beta: 8 } }, "parameter 'beta' of method dkd: expected tckd, nckd, warmup"],
    [{ method: 'kd', parameters: { temperature: 8 } }, "parameter 'temperature' of method kd: it has none"],
    [
      { method: 'jsd', parameters: { beta: 1.5 } },
      "parameter 'beta' of method jsd: expected a number from 0 to 1, found 1.5",
    ],
    [
      { method: 'dkd', parameters: { nckd: Number.NaN } },
      "parameter 'nckd' of method dkd: expected a number, found NaN",
    ],
    [{ method: 'kd', alpha: 2 }, 'alpha: expected a number from 0 to 1, found 2'],
    [{ method: 'ps-kd', temperature: 2 }, 'temperature 2: method ps-kd has no temperature, it would change nothing'],
    [{ method: 'ce', alpha: 0.5 }, 'alpha 0.5: method ce has no alpha, it would change nothing'],
    [{ method: 'dist', alpha: -1 }, 'alpha: expected a number of at least 0, found -1'],
  ])('are refused: %j', async (config, message) => {
    await expect(complete(config)).rejects.toThrow(message)
  })
})

describe("a user's own method", () => {
  let engine: Engine
  beforeAll(async () => {
    engine = await openEngine('onnx', { threads: 1 })
  })

  it('trains a student, which is known by the content of its module', async () => {
    const { dataset } = await makeExample(100)
    const method = await userModule(own)
    const out = await temporaryFolder()
    const train = (options: object) =>
      trainOnDataset({ dataset, engine, student: 'linear', epochs: 2, batch: 32, method, out, ...options })
    const { history, provenance } = await train({})
    expect(history[1]!.loss).toBeLessThan(history[0]!.loss)
    expect(provenance).toMatchObject({
      config: { temperature: 3, parameters: { weight: 2 } },
      methodModule: expect.stringMatching(/^[0-9a-f]{64}$/),
    })
    await expect(train({ parameters: { weight: 1 } })).rejects.toThrow(
      'config.parameters.weight: 2 in the folder, 1 now',
    )
    await writeFile(method, own.replace('tf.neg', ' tf.neg'))
    await expect(train({})).rejects.toThrow('methodModule: ')
  })

  it('may not look at the teacher where it says that it does not', async () => {
    const { dataset } = await makeExample(40)
    const method = await userModule(own.replace("'buckets'", 'false'))
    await expect(trainOnDataset({ dataset, engine, student: 'linear', epochs: 1, method })).rejects.toThrow(
      'its `needs.teacher` says that it does not',
    )
  })
})
