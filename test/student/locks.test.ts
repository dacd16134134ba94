import { existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import { licenseTargets, signTargets } from '../../src/cache/index.js'
import { takeLock, withLock } from '../../src/cache/lock.js'
import { trainChain } from '../../src/chain/index.js'
import { type Engine, openEngine } from '../../src/engine/engine.js'
import { writeReport } from '../../src/report/write-report.js'
import { inPlanned } from '../../src/student/index.js'
import { sweep } from '../../src/student/sweep.js'
import { type TrainDataOptions, type TrainEvent, trainOnDataset } from '../../src/student/train.js'
import { type Example, makeExample, temporaryFolder } from './fixtures.js'

let example: Example
let engine: Engine
beforeAll(async () => {
  example = await makeExample(60)
  engine = await openEngine('eager')
})

const train = (options: Partial<TrainDataOptions> = {}) =>
  trainOnDataset({ dataset: example.dataset, engine, student: 'linear', epochs: 2, batch: 32, ...options })

describe('a folder has one process that writes to it:', () => {
  const busy = /another decant command is writing here \(process \d+\)/

  it('of two trainings at once one is refused, and the other ends as if it were alone', async () => {
    const [out, alone] = [await temporaryFolder(), await temporaryFolder()]
    await train({ out: alone })
    const both = await Promise.allSettled([train({ out }), train({ out, temperature: 2 })])
    expect(both.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected'])
    const refused = both.find(({ status }) => status === 'rejected') as PromiseRejectedResult
    expect(refused.reason.message).toMatch(busy)
    const [first] = both
    if (first!.status === 'fulfilled')
      expect(readFileSync(join(out, 'weights.bin'))).toEqual(readFileSync(join(alone, 'weights.bin')))
    expect(readdirSync(out).sort()).toEqual(readdirSync(alone).sort())
    expect(readdirSync(out)).not.toContain('lock')
  })

  it.each<[string, (dir: string) => Promise<unknown>]>([
    ['train', (out) => train({ out })],
    ['train of several seeds', (out) => inPlanned(out, [], async () => {})],
    ['sweep', (out) => sweep({ ...example, grid: { student: ['linear'] }, engine: { name: 'eager' }, jobs: 1, out })],
    ['chain', (out) => trainChain({ ...example, links: [{ student: 'linear' }], engine, out })],
    ['report', (out) => writeReport(out, undefined as never)],
  ])('%s', async (_, work) => {
    const dir = await temporaryFolder()
    await withLock(dir, async () => {
      await expect(work(dir)).rejects.toThrow(busy)
      expect(readdirSync(dir)).toEqual(['lock'])
    })
  })

  it('license and sign', async () => {
    const dir = join((await makeExample(10)).dir, 'targets')
    const before = readFileSync(join(dir, 'manifest.json'))
    const { generateKeyPairSync } = await import('node:crypto')
    const key = generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' })
    await withLock(dir, async () => {
      await expect(licenseTargets(dir, { license: 'mit' })).rejects.toThrow(busy)
      await expect(signTargets(dir, { key })).rejects.toThrow(busy)
    })
    expect(readFileSync(join(dir, 'manifest.json'))).toEqual(before)
  })

  it('a folder of something else gets no lock', async () => {
    const dir = await temporaryFolder()
    writeFileSync(join(dir, 'thesis.tex'), '')
    await expect(train({ out: dir })).rejects.toThrow('it holds thesis.tex')
    await expect(inPlanned(dir, [], async () => {})).rejects.toThrow('it holds thesis.tex')
    expect(readdirSync(dir)).toEqual(['thesis.tex'])
  })

  it('a finished student is read while another process looks after its folder, or nobody may', async () => {
    const out = await temporaryFolder()
    await train({ out })
    const events: TrainEvent[] = []
    await train({ out, onEvent: (event) => events.push(event) })
    expect(events).toEqual([{ type: 'finished', out }])
    const release = await takeLock(out) // of a process that was killed a moment ago: then it is cleared up, by one
    await expect(train({ out })).rejects.toThrow(busy)
    await release()
  })
})

it('what a kill just after student.json left is cleared up by the next run', async () => {
  const out = await temporaryFolder()
  await train({ out })
  const whole = readdirSync(out).sort()
  for (const name of ['checkpoint.safetensors', 'training.json', 'metrics.json.7.0123abcd.tmp', 'weights.bin.tmp'])
    writeFileSync(join(out, name), 'x')
  writeFileSync(join(out, 'lock'), '')
  const events: TrainEvent[] = []
  await train({ out, onEvent: (event) => events.push(event) })
  expect(events).toEqual([{ type: 'finished', out }])
  expect(readdirSync(out).sort()).toEqual(whole)
})

it('a student that is finished is the same one of the same targets, exported at another time', async () => {
  const out = await temporaryFolder()
  const { dataset } = example
  await train({ out })
  const again = { ...dataset, manifest: 'f'.repeat(64) }
  const events: TrainEvent[] = []
  await train({ out, dataset: again, onEvent: (event) => events.push(event) })
  expect(events).toEqual([{ type: 'finished', out }])
  const other = { ...again, lineage: { ...dataset.lineage, content: 'e'.repeat(64) } }
  await expect(train({ out, dataset: other })).rejects.toThrow(/manifest: "[0-9a-f]{64}" in the folder, "f{64}" now/)
})

it('a link in the place of a temporary or of a final file is not written through', async () => {
  const out = await temporaryFolder()
  const diary = join(await temporaryFolder(), 'diary')
  writeFileSync(diary, 'mine')
  mkdirSync(join(out, 'student'))
  for (const name of ['training.json', 'checkpoint.safetensors', 'student.onnx', 'weights.bin', 'student.json'])
    symlinkSync(diary, join(out, 'student', `${name}.tmp`))
  for (const name of ['student.onnx', 'training.json']) symlinkSync(diary, join(out, 'student', name))
  await train({ out: join(out, 'student'), checkpointEvery: 1 })
  expect(readFileSync(diary, 'utf8')).toBe('mine')
  expect(existsSync(join(out, 'student', 'student.json'))).toBe(true)
  expect(readdirSync(join(out, 'student')).filter((name) => name.endsWith('.tmp'))).toEqual([])
})
