import { spawn } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { gzipSync } from 'node:zlib'
import {
  Dictionary,
  Field,
  FixedSizeList,
  Float32,
  Int8,
  makeData,
  makeVector,
  Table,
  tableToIPC,
  Utf8,
  vectorFromArray,
} from 'apache-arrow'
import sharp from 'sharp'
import { describe, expect, test } from 'vitest'
import { openEngine } from '../../src/engine/engine.js'
import { sweep } from '../../src/student/sweep.js'
import { trainOnDataset } from '../../src/student/train.js'
import { temporaryFolder } from '../helpers/folder.js'
import { writeIdx } from '../helpers/idx.js'
import { npy, tar, zip } from '../source/files-of-rows.js'
import { pattern, plain } from '../source/fixtures.js'
import { parquet } from '../source/parquet-file.js'
import { makeExample } from '../student/fixtures.js'
import type { Said, Target } from './attack-child.js'
import { STUDENT } from './readers.js'

// Part of `npm run faults`: DECANT_MUTATIONS files of each kind (default 60, 1,000 is proof), seeded by DECANT_SEED.
const seed = Number(process.env.DECANT_SEED ?? Date.now() % 2 ** 32)
const MUTATIONS = Number(process.env.DECANT_MUTATIONS ?? 60)
/** Time of the processor that a damaged file may take, and memory of a process that reads all of them, in bytes. */
const [LIMIT_MS, LIMIT_BYTES] = [5000, 2 ** 30]
/** By the clock: a process that says nothing for so long is in a loop without end, however busy the machine is. */
const SILENCE_MS = 120_000

console.log(`mutations: DECANT_SEED=${seed}`)

/** Reads damaged files in a process of its own, and starts another where one ends. */
async function attack(target: Target): Promise<void> {
  const wrong: string[] = []
  const counts = { refused: 0, read: 0 }
  let [slowest, peak] = [0, 0]
  for (let next = 0; next < MUTATIONS; ) {
    const { said, ended } = await runChild(target, next)
    for (const one of said)
      if ('peak' in one) peak = Math.max(peak, one.peak)
      else if ('file' in one) next = one.mutant + 1
      else if (one.outcome === 'wrong') wrong.push(`${target.name} ${one.mutant}, ${one.step}: ${one.what}`)
      else {
        counts[one.outcome]++
        slowest = Math.max(slowest, one.milliseconds)
        if (one.milliseconds > LIMIT_MS) wrong.push(`${target.name} ${one.mutant}: ${Math.round(one.milliseconds)} ms`)
      }
    if (ended !== undefined) wrong.push(`${target.name} ${next - 1}: ${ended}`)
  }
  const [ms, mib] = [Math.round(slowest), Math.round(peak / 2 ** 20)]
  console.log(`${target.name}: ${counts.refused} refused, ${counts.read} read, at most ${ms} ms, ${mib} MiB`)
  expect(wrong).toEqual([])
  expect(peak).toBeLessThan(LIMIT_BYTES)
}

async function runChild(target: Target, from: number): Promise<{ said: Said[]; ended: string | undefined }> {
  const module = join(import.meta.dirname, 'attack-child.ts')
  const child = spawn(process.execPath, ['--import', 'tsx', module, JSON.stringify([target, seed, from, MUTATIONS])])
  const said: Said[] = []
  let [complaint, silent] = ['', false]
  child.stderr.on('data', (text) => {
    complaint = `${complaint}${text}`.slice(-2000)
  })
  const code = new Promise<number | null>((resolve) => child.once('close', resolve))
  const kill = () => {
    silent = true
    child.kill('SIGKILL')
  }
  let watch = setTimeout(kill, SILENCE_MS)
  for await (const line of createInterface({ input: child.stdout })) {
    clearTimeout(watch)
    watch = setTimeout(kill, SILENCE_MS)
    said.push(JSON.parse(line) as Said)
  }
  clearTimeout(watch)
  const found = await code
  return { said, ended: silent ? 'without end' : found === 0 ? undefined : `ended with ${found}: ${complaint}` }
}

describe('a damaged file is an error that names it, or is read, soon and in little memory:', () => {
  const x = npy(
    '<f4',
    [6, 2],
    Float32Array.from({ length: 12 }, (_, i) => i),
  )
  const y = npy(
    '<i8',
    [6],
    BigInt64Array.from({ length: 6 }, (_, i) => BigInt(i)),
  )
  const page = Buffer.from([2, 0, 0, 0, 6, 1, 7, 0, 0, 0, 8, 0, 0, 0, 9, 0, 0, 0]) // a run of three levels; 7, 8, 9
  const both = { input: 'x', label: 'y' }
  const archive = async () => {
    const members = await Promise.all(
      [0, 1, 2, 3].map(async (i) => [
        [`${i}.png`, await plain(2, 2)],
        [`${i}.cls`, String(i)],
        [`${i}.json`, '{"a":[1,2]}'],
      ]),
    )
    return tar(Object.fromEntries(members.flat()))
  }
  const csv = 'x,y,t\n1,2,"a ""b"", c"\n3,4,"d\ne"\n5,6,f\n'

  test.each<[string, () => Buffer | Promise<Buffer>, object]>([
    ['a.npy', () => x, {}],
    ['a.npz', () => zip({ 'x.npy': x, 'y.npy': y }), both],
    ['deflated.npz', () => zip({ 'x.npy': x, 'y.npy': y }, { deflate: true }), both],
    ['a.tar', archive, {}],
    ['a.tar.gz', async () => gzipSync(await archive()), {}],
    ['a.parquet', () => parquet([{ data: page, values: 3 }]), { input: 'x' }],
    ['a.arrow', () => arrow('file'), both],
    ['a.arrows', () => arrow('stream'), both],
    ['a.csv', () => Buffer.from(csv), both],
    ['a.csv.gz', () => gzipSync(csv), both],
    ['a.jsonl', () => Buffer.from('{"x":[1,2],"y":"a"}\n{"x":[3,4],"y":"b"}\n'), both],
  ])('%s', async (name, make, options) => {
    const folder = join(temporaryFolder(), 'source')
    mkdirSync(folder)
    writeFileSync(join(folder, name), await make())
    await attack({ name, reader: 'source', options, folder, open: name, files: [name] })
  })

  test('IDX', async () => {
    const folder = join(temporaryFolder(), 'source')
    mkdirSync(folder)
    writeIdx(folder, { rows: 10, side: 4, classes: 3 })
    const files = ['train-images-idx3-ubyte', 'train-labels-idx1-ubyte']
    await attack({ name: 'IDX', reader: 'source', folder, open: files[0]!, files })
  })

  test('images', async () => {
    const folder = join(temporaryFolder(), 'source')
    const pixels = pattern(32 * 24 * 3)
    const picture = sharp(pixels, { raw: { width: 32, height: 24, channels: 3 } })
    const files: string[] = []
    for (const type of ['png', 'jpeg', 'webp', 'tiff', 'gif', 'avif'] as const) {
      const file = `${type === 'png' ? 'a' : 'b'}/${type}.${type}`
      mkdirSync(join(folder, file, '..'), { recursive: true })
      writeFileSync(join(folder, file), await picture.clone().toFormat(type).toBuffer())
      files.push(file)
    }
    await attack({ name: 'images', reader: 'source', folder, files })
  })
})

describe('of what training leaves, too:', () => {
  test('a student', async () => {
    const { dir, dataset } = await makeExample(24)
    const folder = join(dir, 'student')
    const engine = await openEngine('eager')
    await trainOnDataset({ ...STUDENT, dataset, engine, out: folder })
    await engine.dispose()
    const files = ['model.json', 'weights.bin', 'student.onnx', 'preprocess.json', 'metrics.json', 'student.json']
    await attack({ name: 'student', reader: 'student', folder, files })
  })

  test('a checkpoint', async () => {
    const { dir, dataset } = await makeExample(24)
    const folder = join(dir, 'student')
    const engine = await openEngine('eager')
    const stop = new AbortController()
    const onEvent = ({ type }: { type: string }) => type === 'epoch' && stop.abort()
    const options = { ...STUDENT, dataset, engine, out: folder, signal: stop.signal, onEvent }
    await expect(trainOnDataset(options)).rejects.toThrow()
    await engine.dispose()
    await attack({
      name: 'checkpoint',
      reader: 'checkpoint',
      folder,
      files: ['checkpoint.safetensors', 'training.json'],
    })
  })

  test('a sweep', async () => {
    const { dir, targets, source } = await makeExample(24)
    const folder = join(dir, 'sweep')
    const grid = { student: ['linear'], temperature: [1, 4], seed: [1] }
    const base = { epochs: 2, batch: 8 }
    const { students } = await sweep({ targets, source, grid, base, engine: { name: 'eager' }, jobs: 1, out: folder })
    expect(students.length).toBeGreaterThan(1)
    const one = `students/linear-kd-T4-a0.9-s1`
    const files = ['sweep.json', 'sweep.json', 'students/plan.json', `${one}/student.json`, `${one}/metrics.json`]
    await attack({ name: 'sweep', reader: 'sweep', folder, files })
  })
})

/** A column of arrays, and one of two classes by name. */
function arrow(form: 'file' | 'stream'): Buffer {
  const type = new Dictionary(new Utf8(), new Int8(), 1, true)
  const dictionary = vectorFromArray(['b', 'a'], new Utf8())
  const y = makeVector(makeData({ type, data: Int8Array.of(0, 1), dictionary, length: 2 }))
  const pair = new FixedSizeList(2, new Field('', new Float32()))
  const x = vectorFromArray([[[1, 2]], [[3, 4]]], new FixedSizeList(1, new Field('', pair)))
  return Buffer.from(tableToIPC(new Table({ x, y }), form))
}
