import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import { openEngine } from '../../src/engine/engine.js'
import { InterruptedError } from '../../src/errors.js'
import { readSweep } from '../../src/report/read-sweep.js'
import { type SweepEvent, type SweepOptions, sweep } from '../../src/student/sweep.js'
import { trainOnDataset } from '../../src/student/train.js'
import { type Example, makeExample, temporaryFolder } from './fixtures.js'
import { userModule } from './user-module.js'

let example: Example
beforeAll(async () => {
  example = await makeExample(200)
})

const base = { student: 'mlp:4', epochs: 2, batch: 32 }
const run = (options: Partial<SweepOptions>) =>
  sweep({
    targets: example.targets,
    source: example.source,
    grid: { alpha: [0, 0.9], seed: [1, 2] },
    base,
    engine: { name: 'eager' },
    jobs: 1,
    ...options,
  })

describe('sweep', () => {
  it('has the same results whatever the jobs, those of training one by one, and continues in its folder', async () => {
    const out = await temporaryFolder()
    const first: SweepEvent[] = []
    const abort = new AbortController()
    const stopped = await run({
      out,
      jobs: 2,
      signal: abort.signal,
      onEvent: (event) => {
        first.push(event)
        if (event.type === 'student') abort.abort()
      },
    }).catch((error: unknown) => error)
    expect(stopped).toBeInstanceOf(InterruptedError)

    const events: SweepEvent[] = []
    const continued = await run({ out, jobs: 2, onEvent: (event) => events.push(event) })
    const finished = events.filter((event) => event.type === 'training' && event.event.type === 'finished')
    expect(finished.length).toBeGreaterThanOrEqual(1)

    const { students } = await run({ jobs: 1 })
    expect(students.map(({ metrics }) => metrics)).toEqual(continued.students.map(({ metrics }) => metrics))
    const engine = await openEngine('eager')
    const alone = await trainOnDataset({ ...base, dataset: example.dataset, engine, alpha: 0.9, seed: 2 })
    expect(students[3]!.metrics).toEqual(alone.metrics)

    expect(JSON.parse(await readFile(join(out, 'sweep.json'), 'utf8'))).toMatchObject({
      format: 'decant-sweep',
      version: 2,
      students: continued.students,
      table: continued.table,
      data: { rows: 200, classes: 3, measuredOn: 'held-out rows' },
      costs: { models: [{ name: 'mlp:4', parameters: 36 * 4 + 4 + 4 * 3 + 3, multiplyAdds: 36 * 4 + 4 * 3 }] },
    })
    const { table: _, ...again } = continued
    expect(await readSweep(out)).toMatchObject(again)
    expect((await readFile(join(out, 'sweep.csv'), 'utf8')).split('\r\n')).toHaveLength(4 + 2)
  })

  it("of a student with a layer of one's own is extended: what is finished is not trained again", async () => {
    const student = await userModule(
      `class Doubled extends tfl.layers.Layer {
        static className = 'Doubled'
        call(x) { return tf.mul([x].flat()[0], 2) }
      }
      export default ({ inputShape, classes: units }) => tfl.sequential({ layers: [
        tfl.layers.flatten({ inputShape }), new Doubled({}),
        tfl.layers.dense({ units, kernelInitializer: tfl.initializers.glorotUniform({ seed: 1 }) })] })`,
      'student.mjs',
    )
    const out = await temporaryFolder()
    const [first] = (await run({ out, grid: { student: [student] } })).students
    const events: SweepEvent[] = []
    const { students } = await run({
      out,
      grid: { student: [student], seed: [1, 2] },
      onEvent: (event) => events.push(event),
    })
    const finished = events.filter((event) => event.type === 'training' && event.event.type === 'finished')
    expect(finished).toHaveLength(1)
    expect(students.map(({ failed }) => failed)).toEqual([undefined, undefined])
    expect(students[0]!.metrics).toEqual(first!.metrics)
  })

  it('lists a student that fails with its reason, and trains the others', async () => {
    const { students, table } = await run({ grid: { student: ['mlp:4', 'cnn:1,1,1,1'] } })
    expect(students.map(({ failed }) => failed)).toEqual([
      undefined,
      "student 'cnn:1,1,1,1': 4 poolings leave nothing of 6x6 images",
    ])
    expect(table).toHaveLength(1)
  })
})
