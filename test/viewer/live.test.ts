import { mkdir, readdir, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { replaceFile } from '../../src/cache/files.js'
import { createTargets } from '../../src/cache/index.js'
import { type Engine, openEngine } from '../../src/engine/engine.js'
import { writeCheckpoint } from '../../src/student/checkpoint.js'
import { completeConfig } from '../../src/student/config.js'
import { trainOnDataset } from '../../src/student/train.js'
import type { Live } from '../../src/viewer/api.js'
import { follow, followExport, followStudents } from '../../src/viewer/live.js'
import { serveViewer } from '../../src/viewer/serve-viewer.js'
import { findStudents } from '../../src/viewer/students.js'
import { exportRows, makePlan, makeRows } from '../cache/datasets.js'
import { makeExample, temporaryFolder } from '../student/fixtures.js'
import { bundle, writeStudent } from './fixtures.js'

async function checkpoint(dir: string, config: object, epochs: number): Promise<void> {
  await mkdir(dir, { recursive: true })
  const history = Array.from({ length: epochs }, (_, i) => ({ epoch: i + 1, loss: 1 / (i + 1), accuracy: 0.5 }))
  await writeCheckpoint(
    join(dir, 'checkpoint.safetensors'),
    {
      progress: { step: 10, loss: 0, weight: 0, history, best: null },
      tensors: [{ name: 'w', shape: [2], values: new Float32Array(2) }],
    },
    { config: await completeConfig(config, { evaluated: true }), engine: 'onnx', manifest: 'a', teacher: 'b' },
  )
}

test('an export is followed by its journal and by the shard in hand, and is a dataset when it has ended', async () => {
  const dir = join(await temporaryFolder(), 'targets')
  const plan = makePlan({ rows: 100 })
  const writer = await createTargets(dir, plan)
  await writer.beginShard(0)
  await writer.append(makeRows(plan, 0, 40))
  await writer.endShard()
  const read = followExport(dir)
  expect(await read()).toMatchObject({ type: 'export', rows: 40, of: 100, done: false })

  const viewer = await serveViewer({ place: dir, bundle, source: false, every: 20 })
  const ask = async (path: string) => (await fetch(`${viewer.url}api/${path}`)).json() as Promise<object>
  expect(await ask('what')).toMatchObject({ sections: ['live'], targets: null, live: true })
  const events = (await fetch(`${viewer.url}api/live`)).body!.pipeThrough(new TextDecoderStream()).getReader()
  expect((await events.read()).value).toMatch(/^data: \{"type":"export","rows":40,"of":100,.*"done":false\}\n\n$/)

  await writer.beginShard(1)
  await writer.append(makeRows(plan, 40, 80))
  const { rows } = (await read()) as Extract<Live, { type: 'export' }>
  expect(rows).toBeGreaterThan(40)
  expect(rows).toBeLessThanOrEqual(80)
  await writer.abortShard()
  await exportRows(writer, plan)
  expect(await read()).toMatchObject({ done: true })
  expect(await ask('what')).toMatchObject({ sections: ['overview', 'samples', 'classes'], targets: { rows: 100 } })
  let text = ''
  for (let part = await events.read(); !part.done; part = await events.read()) text += part.value
  expect(text).toMatch(/"done":true\}\n\n$/)
  await viewer.close()
})

test('a sweep is followed by its students’ checkpoints', async () => {
  const dir = await temporaryFolder()
  await mkdir(join(dir, 'students'))
  const folder = (await findStudents(dir))!
  expect(folder.kind).toBe('sweep')
  const read = followStudents(folder)
  const seen: Live[] = []
  const stop = new AbortController()
  const following = (async () => {
    for await (const event of follow(read, stop.signal, 5)) seen.push(event)
  })()
  const until = async (holds: () => boolean) => {
    while (!holds()) await new Promise((resolve) => setTimeout(resolve, 5))
  }
  const last = () => (seen.at(-1) as Extract<Live, { type: 'students' }>).students
  await until(() => seen.length === 1)
  expect(last()).toEqual({ students: [], controls: [] })
  await checkpoint(
    join(dir, 'students', 'a'),
    { student: 'linear', method: 'kd', temperature: 2, alpha: 0.5, seed: 3 },
    2,
  )
  await until(() => last().students.length === 1)
  expect(last().students[0]).toMatchObject({
    student: 'linear',
    method: 'kd',
    temperature: 2,
    alpha: 0.5,
    seed: 3,
    metrics: null,
    epochs: [
      { epoch: 1, loss: 1, accuracy: 0.5 },
      { epoch: 2, loss: 0.5, accuracy: 0.5 },
    ],
  })
  const aside = await temporaryFolder()
  await writeStudent(aside)
  await rename(aside, join(dir, 'students', 'b')) // in one step, as a student's folder becomes whole
  await until(() => last().students.length === 2)
  expect(last().students[1]!.metrics).toEqual({ accuracy: null, nll: null, ece: null, agreement: null, kl: null })
  const config = { student: 'mlp:8', method: 'ce', temperature: 1, alpha: 0, parameters: {}, seed: 1 }
  const planned = [
    { name: 'c', config },
    { name: 'b', config },
    { name: '../b', config },
    { name: 'a', config },
  ]
  await replaceFile(
    join(dir, 'students', 'plan.json'),
    JSON.stringify(planned.filter(({ name }) => !name.includes('/'))),
  )
  await until(() => last().students.length === 3)
  expect(last().students.map(({ student, metrics, epochs }) => [student, metrics === null, epochs.length])).toEqual([
    ['mlp:8', true, 0], // is still to be trained
    ['linear', false, 1],
    ['linear', true, 2],
  ])
  await replaceFile(join(dir, 'students', 'plan.json'), JSON.stringify(planned)) // a name that leads elsewhere
  await until(() => last().students.length === 2)
  stop.abort()
  await following
})

test('of a sweep that has ended: its students, those that failed, and the controls', async () => {
  const dir = await temporaryFolder()
  const student = (changes: object) => ({
    ...{
      student: 'linear',
      method: 'kd',
      temperature: 4,
      alpha: 0.9,
      parameters: {},
      seed: 1,
      seconds: 1,
      history: [],
    },
    metrics: null,
    ...changes,
  })
  const metrics = (accuracy: number) => ({
    ...{
      rows: 10,
      labelled: 10,
      accuracy,
      top5: null,
      nll: 1,
      ece: 0.1,
      brier: 0.2,
      aurc: 0.1,
      agreement: 0.9,
      kl: 0.1,
    },
    ...{ reliability: null, perClass: null },
  })
  const sweep = {
    format: 'decant-sweep',
    version: 2,
    students: [
      student({ method: 'ce', temperature: 1, alpha: 0, metrics: metrics(0.5) }),
      student({ method: 'ce', temperature: 1, alpha: 0, seed: 2, metrics: metrics(0.7) }),
      student({ failed: 'the loss is NaN' }),
      student({ method: 'byot', temperature: 3, alpha: 0, metrics: metrics(0.6) }),
      student({ method: 'ls', temperature: 1, alpha: 0, metrics: metrics(0.6) }),
      student({ method: 'logit-mse', temperature: 1, metrics: metrics(0.6) }),
      student({ student: '/home/me/wide.ts', failed: 'module /home/me/wide.ts: no default export' }),
      student({ student: '/home/me/net.ts', method: '/home/me/kd.ts', metrics: metrics(0.6) }),
    ],
    data: {
      rows: 10,
      classes: 3,
      names: null,
      measuredOn: 'evaluation',
      teacher: { file: 't', metrics: null },
      similarity: null,
    },
    costs: null,
    seconds: 1,
  }
  await writeFile(join(dir, 'sweep.json'), JSON.stringify(sweep))
  const live = await followStudents((await findStudents(dir))!)()
  expect(live).toMatchObject({
    done: true,
    students: {
      controls: [{ student: 'linear', accuracy: 0.6 }],
      students: [
        { temperature: null, alpha: null, metrics: { accuracy: 0.5 } },
        {},
        { metrics: null, failed: 'the loss is NaN' },
        { method: 'byot', temperature: 3, alpha: null },
        { method: 'ls', temperature: null, alpha: null },
        { method: 'logit-mse', temperature: null, alpha: 0.9 },
        { student: 'wide.ts', failed: 'module wide.ts: no default export' },
        { student: 'net.ts', method: 'kd.ts', temperature: 4 },
      ],
    },
  })
  expect(JSON.stringify(live)).not.toContain('/home') // whose page it may become
})

test('a student is followed from its first step on', async () => {
  const dir = join(await temporaryFolder(), 'student')
  const { dataset } = await makeExample(64)
  const engine = await openEngine('eager')
  const seen: (Live | undefined)[] = []
  let looked: Promise<unknown> = Promise.resolve()
  const look = () =>
    findStudents(dir).then((folder) => folder && followStudents(folder)().then((event) => seen.push(event)))
  const onEvent = ({ type }: { type: string }) => {
    if (type === 'start') looked = look()
  }
  const run = { ...engine, compile: slowed(engine.compile, () => looked) }
  const options = { dataset, student: 'linear', epochs: 2, batch: 32, seed: 7, out: dir, onEvent }
  await trainOnDataset({ ...options, engine: run })
  await looked
  const [{ students, done }] = seen as [Extract<Live, { type: 'students' }>]
  expect(done).toBe(false)
  expect(students.students).toMatchObject([
    { student: 'linear', seed: 7, metrics: null, epochs: [], training: { step: 0, steps: 4, loss: null } },
  ])
  expect(await readdir(dir)).not.toContain('training.json')
  expect((await followStudents((await findStudents(dir))!)()).done).toBe(true)
})

/** An engine whose steps wait for a look at the folder. */
const slowed =
  (compile: Engine['compile'], looked: () => Promise<unknown>): Engine['compile'] =>
  async (step, options) => {
    const program = await compile(step, options)
    return {
      ...program,
      run: async (inputs) => {
        await looked()
        return program.run(inputs)
      },
    }
  }

test('a student that is being trained, alone or by several seeds', async () => {
  const dir = await temporaryFolder()
  await checkpoint(join(dir, 'seed-1'), { seed: 1 }, 1)
  await checkpoint(join(dir, 'seed-2'), { seed: 2 }, 3)
  const seeds = (await findStudents(dir))!
  expect(seeds.kind).toBe('seeds')
  const live = (await followStudents(seeds)()) as Extract<Live, { type: 'students' }>
  expect(live.done).toBe(false)
  expect(live.students.students.map(({ seed, epochs }) => [seed, epochs.length])).toEqual([
    [1, 1],
    [2, 3],
  ])
  const one = (await findStudents(join(dir, 'seed-1')))!
  expect(one.kind).toBe('student')
  await writeStudent(join(dir, 'seed-1'))
  await rm(join(dir, 'seed-1', 'checkpoint.safetensors'))
  expect(await followStudents(one)()).toMatchObject({ done: true })
})
