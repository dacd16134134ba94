import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, onTestFinished, test } from 'vitest'
import { convertTargets, createTargets, mergeTargets } from '../../src/cache/index.js'
import { DecantError } from '../../src/errors.js'
import { hashFolder, temporaryFolder, withoutTime } from '../helpers/folder.js'
import { makePlan, writeTargets } from './datasets.js'

const child = fileURLToPath(new URL('few-files-child.ts', import.meta.url))

test('a disk that fills up under convert: no half shard stays, and with room the same call ends with the same bytes', async (context) => {
  const root = temporaryFolder()
  const disk = join(root, 'disk')
  mkdirSync(disk)
  const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=128k', 'tmpfs', disk], { encoding: 'utf8' })
  if (mounted.status !== 0) {
    console.warn(`SKIPPED: a really full disk needs the right to mount a tmpfs: ${mounted.stderr || mounted.error}`)
    return context.skip('mounting is not allowed here')
  }
  onTestFinished(() => void execFileSync('umount', [disk]))
  const dir = join(root, 'targets')
  await writeTargets(dir, makePlan({ rows: 8000, rowsPerShard: 2000, rowsPerBatch: 512 }), 500)
  const convert = (out: string, shardMb = 0.02) => convertTargets(dir, { codec: 'f16', shardMb, out })

  // The first shard does not fit: nothing stays.
  const first = await convert(join(disk, 'out'), 1).catch((error) => error)
  expect(first).toBeInstanceOf(DecantError)
  expect(first.message).toMatch(/\.arrow: the disk is full: free some space/)
  expect(existsSync(join(disk, 'out'))).toBe(false)

  // Some fit: they stay.
  await expect(convert(join(disk, 'out'))).rejects.toThrow(/\.arrow: the disk is full/)
  expect(readdirSync(join(disk, 'out')).sort()).toEqual(['data', 'journal.jsonl'])
  expect(readdirSync(join(disk, 'out/data')).every((name) => name.endsWith('.arrow'))).toBe(true)

  execFileSync('mount', ['-o', 'remount,size=8m', disk])
  await convert(join(disk, 'out'))
  await convert(join(root, 'roomy'))
  expect(hashFolder(join(disk, 'out'), withoutTime)).toEqual(hashFolder(join(root, 'roomy'), withoutTime))
})

test('too many open files: an error that says so, nothing half written; with files to spare the same call completes', async () => {
  const root = temporaryFolder()
  const dir = join(root, 'targets')
  await writeTargets(dir, makePlan({ rows: 400 }))
  const command = `ulimit -n 256; exec '${process.execPath}' --import tsx '${child}' '${dir}' '${join(root, 'out')}'`
  const said = JSON.parse(execFileSync('bash', ['-c', command], { encoding: 'utf8' })) as string[]
  const starved = said.slice(0, 12).filter((text) => text !== 'done')
  expect(starved.length).toBeGreaterThan(1)
  for (const text of starved) expect(text).toMatch(/^DecantError: .*: too many open files: raise the limit/)
  expect(said.slice(12)).toEqual(Array(6).fill('done'))
  const expected = hashFolder(join(root, 'out'), withoutTime)
  for (let free = 0; free < 6; free++) expect(hashFolder(join(root, `out-${free}`), withoutTime)).toEqual(expected)
})

test('while one operation writes into a folder, another is refused', async () => {
  const root = temporaryFolder()
  const [dir, out] = [join(root, 'targets'), join(root, 'out')]
  await writeTargets(dir, makePlan({ rows: 400 }))
  const options = { codec: 'f16', shardMb: 0.001, out } as const
  const refused: unknown[] = []
  await convertTargets(dir, {
    ...options,
    onProgress: async ({ shards }) => {
      if (shards !== 1) return
      const others = [convertTargets(dir, options), createTargets(out, makePlan()), mergeTargets([dir, dir], { out })]
      refused.push(...(await Promise.all(others.map((other) => other.catch((error) => error.message)))))
    },
  })
  expect(refused).toEqual([
    expect.stringMatching(/another decant command is writing here/),
    expect.stringMatching(/another decant command is writing here/),
    expect.stringMatching(/are in both/),
  ])
})
