import { createHash } from 'node:crypto'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { createTargets, openTargets, verifyTargets } from '../../src/cache/index.js'
import { DecantError } from '../../src/errors.js'
import { type Random, random } from '../../src/random.js'
import { hashFolder, temporaryFolder } from '../helpers/folder.js'
import { makePlan, writeTargets } from './datasets.js'

// Part of `npm run faults`, with the counts that proof takes. It prints its seed; DECANT_SEED=<n> runs one again.
const seed = Number(process.env.DECANT_SEED ?? Date.now() % 2 ** 32)
const SHARDS = ['data/00000.arrow', 'data/00001.arrow']
const MANIFEST = 'manifest.json'
/** Reading a hostile file may take this long, about a hundred times what it takes: more is a loop that the file chose. */
const LIMIT_MS = 1000
/** And this much memory beyond what the process has. */
const LIMIT_BYTES = 256 * 2 ** 20

console.log(`faults: DECANT_SEED=${seed}`)

async function makeDataset(codec: 'f32' | 'f16' = 'f16') {
  const root = temporaryFolder()
  const dir = join(root, 'targets')
  mkdirSync(dir)
  await writeTargets(dir, makePlan({ rows: 40, rowsPerShard: 20, rowsPerBatch: 8, codec }))
  const files = new Map([...SHARDS, MANIFEST].map((name) => [name, readFileSync(join(dir, name))]))
  return { root, dir, files }
}

test('2,000 flips of one bit anywhere in shards and manifest: verify finds each', async () => {
  const { dir, files } = await makeDataset()
  const { below } = random(seed, 'flips')
  const names = [...files.keys()]
  for (let i = 0; i < 2000; i++) {
    const name = names[i % names.length]!
    const bytes = Buffer.from(files.get(name)!)
    const [at, bit] = [below(bytes.length), below(8)]
    bytes[at]! ^= 1 << bit
    writeFileSync(join(dir, name), bytes)
    const { problems } = await verifyTargets(dir)
    expect(problems, `${name}: bit ${bit} of byte ${at}`).toHaveLength(1)
    expect(problems[0]).toContain(name)
    writeFileSync(join(dir, name), files.get(name)!)
  }
  expect((await verifyTargets(dir)).problems).toEqual([])
})

describe('hostile files are an error or a right answer, soon, in little memory, and nothing is written:', () => {
  /** Opens and reads all there is. @returns whether it was refused */
  async function attack(dir: string): Promise<boolean> {
    const started = process.cpuUsage() // not the clock's time, which other processes take as well
    const memory = process.memoryUsage.rss()
    let refused = false
    try {
      const found = await verifyTargets(dir)
      refused = found.problems.length > 0
      if (!refused) expect(await readIds(dir)).toHaveLength(found.rows)
    } catch (error) {
      if (!(error instanceof DecantError)) throw error
      refused = true
    }
    const { user, system } = process.cpuUsage(started)
    expect((user + system) / 1000).toBeLessThan(LIMIT_MS)
    expect(process.memoryUsage.rss() - memory).toBeLessThan(LIMIT_BYTES)
    return refused
  }

  test('10,000 manifests', async () => {
    const { root, dir, files } = await makeDataset()
    const path = join(dir, MANIFEST)
    const { sha256: _, ...manifest } = JSON.parse(files.get(MANIFEST)!.toString())
    const before = hashFolder(root)
    let refused = 0
    for (let i = 0; i < 10_000; i++) {
      const text = fuzzManifest(manifest, random(seed, 'manifests', i))
      writeFileSync(path, text)
      if (await attack(dir)) refused++
      if (i % 100 === 0) {
        // An export into such a folder: refused, or resumed within it.
        await createTargets(dir, makePlan({ rows: 40, rowsPerShard: 20, rowsPerBatch: 8, codec: 'f16' })).then(
          (writer) => writer.close(),
          (error) => void expect(error).toBeInstanceOf(DecantError),
        )
      }
    }
    writeFileSync(path, files.get(MANIFEST)!)
    expect(hashFolder(root)).toEqual(before)
    expect(refused).toBeGreaterThan(7000)
    expect(({} as { polluted?: unknown }).polluted).toBeUndefined()
  })

  test('2,000 shards, with a manifest that agrees with each', async () => {
    const { root, dir, files } = await makeDataset()
    const whole = await readIds(dir)
    const { sha256: _, ...manifest } = JSON.parse(files.get(MANIFEST)!.toString())
    const [name, other] = SHARDS as [string, string]
    let refused = 0
    for (let i = 0; i < 2000; i++) {
      const bytes = fuzzShard(files.get(name)!, random(seed, 'shards', i))
      writeFileSync(join(dir, name), bytes)
      const [entry, ...rest] = manifest.shards
      const altered = { ...entry, bytes: bytes.length, sha256: createHash('sha256').update(bytes).digest('hex') }
      writeFileSync(join(dir, MANIFEST), JSON.stringify({ ...manifest, shards: [altered, ...rest] }))
      if (await attack(dir)) refused++
    }
    writeFileSync(join(dir, name), files.get(name)!)
    writeFileSync(join(dir, MANIFEST), files.get(MANIFEST)!)
    expect(readFileSync(join(dir, other))).toEqual(files.get(other))
    expect(Object.keys(hashFolder(root)).sort()).toEqual(
      ['README.md', 'plot.svg', ...SHARDS, MANIFEST].map((file) => `targets/${file}`).sort(),
    )
    expect(await readIds(dir)).toEqual(whole)
    expect(refused).toBeGreaterThan(500)
  })
})

async function readIds(dir: string): Promise<string[]> {
  const targets = await openTargets(dir)
  try {
    const ids: string[] = []
    for await (const chunk of targets.chunks({ rows: 11 })) ids.push(...chunk.ids())
    if (targets.rows > 0) await targets.row(targets.rows - 1)
    return ids
  } finally {
    await targets.close()
  }
}

/** Values that someone would try. */
const HOSTILE: unknown[] = [
  ...[null, true, '', 'x', [], {}, -1, 0, 1, 0.5, 2 ** 31, 2 ** 32, 2 ** 53, 1e300, -1e-300],
  ...['../../../etc/passwd', '/etc/passwd', 'data/../../x.arrow', 'data/00000.arrow\u0000', 'data\\00000.arrow'],
  ...['__proto__', 'constructor', 'f32', 'f16', 'a'.repeat(10_000), { toString: 1 }, [[[[[[[[]]]]]]]]],
]

/** A manifest with some values changed, removed, repeated or moved; now and then its text is damaged, too. */
function fuzzManifest(manifest: object, { below }: Random): string {
  const value = structuredClone(manifest) as Record<string, unknown>
  for (let n = 1 + below(3); n > 0; n--) {
    const places = placesIn(value)
    const { parent, key } = places[below(places.length)]!
    const action = below(6)
    if (action === 0) delete parent[key]
    else if (action === 1) parent[`${key}${below(10)}`] = parent[key]
    else if (action === 2) {
      const from = places[below(places.length)]!
      parent[key] = structuredClone(from.parent[from.key])
    } else if (action === 3 && typeof parent[key] === 'number') parent[key] = (parent[key] as number) + below(3) - 1
    else parent[key] = structuredClone(HOSTILE[below(HOSTILE.length)])
  }
  let text = JSON.stringify(value)
  const action = below(12)
  if (action === 0) text = text.slice(0, below(text.length))
  if (action === 1) text = text.replace('{', '{"__proto__":{"polluted":1},')
  if (action === 2) text = text.replace(/"preprocess":\{/, `$&"deep":${'['.repeat(5000)}${']'.repeat(5000)},`)
  if (action === 3) text = text.replace(/\d+/g, (digits) => (below(20) ? digits : `${digits}e${below(400)}`))
  if (action > 3) return text
  const bytes = Buffer.from(text)
  for (let n = below(4); n > 0 && bytes.length > 0; n--) bytes[below(bytes.length)] = below(256)
  return bytes.toString('latin1')
}

function placesIn(value: unknown): { parent: Record<string, unknown>; key: string }[] {
  if (typeof value !== 'object' || value === null) return []
  const parent = value as Record<string, unknown>
  return Object.keys(parent).flatMap((key) => [{ parent, key }, ...placesIn(parent[key])])
}

/** A shard with bytes overwritten, half of the time in its footer or a batch's metadata; or cut, stretched, or of its own parts. */
function fuzzShard(shard: Buffer, { below }: Random): Buffer {
  const bytes = Buffer.from(shard)
  const footer = bytes.length - 10 - bytes.readInt32LE(bytes.length - 10)
  const action = below(10)
  if (action === 0) return bytes.subarray(0, below(bytes.length))
  if (action === 1) return Buffer.concat([bytes.subarray(0, footer), Buffer.alloc(below(5000)), bytes.subarray(footer)])
  if (action === 2) bytes.copyWithin(below(bytes.length), below(bytes.length), bytes.length)
  for (let n = 1 + below(4); n > 0; n--) {
    const at = below(2) ? footer + below(bytes.length - footer) : below(bytes.length)
    const width = [1, 2, 4, 8][below(4)]!
    const pattern = [0x00, 0x01, 0x7f, 0x80, 0xff, below(256)][below(6)]!
    bytes.fill(pattern, at, Math.min(bytes.length, at + width))
  }
  return bytes
}
