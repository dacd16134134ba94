import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { readdirSync, readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { type CodecName, openTargets } from '../../src/cache/index.js'
import { random } from '../../src/random.js'
import {
  compareReads,
  expectSame,
  makeSmall,
  newFolder,
  openServed,
  readOn,
  serve,
  writeLarge,
} from './remote-datasets.js'

// Part of `npm run faults`: DECANT_KILLS below 200 makes fewer kills, DECANT_SEED repeats the moments, about.
const seed = Number(process.env.DECANT_SEED ?? Date.now() % 2 ** 32)
const KILLS = Math.ceil(Number(process.env.DECANT_KILLS ?? 200) / 8)
const child = fileURLToPath(new URL('remote-child.ts', import.meta.url))

console.log(`kills: DECANT_SEED=${seed}`)

test.each(['f32', 'q8', 'hybrid:600', 'sampled:16', 'f16', 'topk:16'] as CodecName[])(
  'a remote dataset of codec %s gives the rows of the local one, in 20 random orders',
  (codec) => compareReads(codec, 20),
)

test('the cache gives the right rows, whatever was done to its files', async () => {
  const { dir, expected } = await makeSmall()
  const served = await serve(dir)
  const blocks = join(dir, '..', 'cache', 'blocks')
  const flip = (name: string) => {
    const bytes = readFileSync(name)
    for (let at = 5000; at < bytes.length; at += 200_000) bytes[at]! ^= 0x40
    writeFileSync(name, bytes)
  }
  const damages: [kind: string, damage: (path: string) => void][] = [
    ['data', flip],
    ['data', (path) => truncateSync(path, 300_000)],
    ['data', (path) => writeFileSync(path, '')],
    ['index', (path) => writeFileSync(path, readFileSync(path, 'utf8').replaceAll(/[0-4]/g, '7'))],
    ['index', (path) => truncateSync(path, 500)],
    ['index', (path) => writeFileSync(path, Buffer.alloc(4096, 0xff))],
  ]
  for (const [kind, damage] of [['data', () => {}] as const, ...damages]) {
    const names = readdirSync(join(dir, '..')).includes('cache') ? readdirSync(blocks) : []
    for (const name of names.filter((name) => name.endsWith(kind))) damage(join(blocks, name))
    const targets = await openServed(dir, served)
    const [found] = await readOn(targets, { rows: 500 })
    expectSame(found!, expected)
    await targets.close()
  }
})

/** A process that reads all rows through a cache: the hash of what it saw. */
function read(url: string, cache: string, env: Record<string, string> = {}) {
  const process_ = spawn(process.execPath, ['--import', 'tsx', child, url, cache], { env: { ...process.env, ...env } })
  let [out, said] = ['', '']
  const begun = new Promise<void>((resolve) => process_.stdout.once('data', () => resolve()))
  process_.stdout.on('data', (text) => {
    out += text
  })
  process_.stderr.on('data', (text) => {
    said += text
  })
  const ended = new Promise<string>((resolve) => process_.once('close', () => resolve(out.split('\n')[1] || said)))
  return { begun, ended, kill: () => process_.kill('SIGKILL') }
}

async function makeLarge() {
  const dir = newFolder()
  await writeLarge(dir, { rows: 6000, perShard: 1000 })
  const hash = createHash('sha256')
  const local = await openTargets(dir)
  for await (const { logits } of local.chunks()) hash.update(logits)
  await local.close()
  return { dir, cache: join(dir, '..', 'cache'), expected: hash.digest('hex') }
}

test(`${KILLS} kills while the cache is written leave nothing wrong in it`, async () => {
  const { dir, cache, expected } = await makeLarge()
  const served = await serve(dir)
  const { uniform } = random(seed, 'remote')
  for (let kill = 0; kill < KILLS; kill++) {
    const reader = read(served.url, cache)
    await reader.begun
    await wait(uniform() * 120)
    reader.kill()
    await reader.ended
  }
  expect(await read(served.url, cache).ended).toBe(expected)
  const before = served.sent
  expect(await read(served.url, cache, { VERIFY: '' }).ended).toBe(expected)
  expect(served.sent - before).toBeLessThan(1e5) // the manifest: all else is in the cache
})

test('three processes share a cache, too small for the dataset, and all read the right rows', async () => {
  const { dir, cache, expected } = await makeLarge()
  const served = await serve(dir)
  for (const gigabytes of ['1', '0.012', '0.003']) {
    const readers = [0, 1, 2].map(() => read(served.url, cache, { DECANT_CACHE_GB: gigabytes }))
    for (const reader of readers) expect(await reader.ended).toBe(expected)
    const held = readdirSync(join(cache, 'blocks')).reduce(
      (sum, name) => sum + statSync(join(cache, 'blocks', name)).blocks * 512,
      0,
    )
    // Each process looks by itself: what others write between two looks comes on top; the two shards of 4 MB that are being read stay.
    expect(held).toBeLessThanOrEqual(Math.max(Number(gigabytes) * 1e9 * 1.5, 12e6))
  }
})
