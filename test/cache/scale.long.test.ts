import { execFileSync } from 'node:child_process'
import { mkdir, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { openTargets } from '../../src/cache/index.js'
import { formatManifest } from '../../src/cache/manifest.js'
import { temporaryFolder } from '../helpers/folder.js'
import { makePlan, writeTargets } from './datasets.js'

const child = fileURLToPath(new URL('scale-child.ts', import.meta.url))

test('a manifest of 100,000 shards and 10⁹ rows opens in 2 s and 1 GB; one row of it is read from one shard', async () => {
  const dir = temporaryFolder()
  const [shards, rowsPerShard, real] = [100_000, 10_000, 77_777]
  // One shard is there; that no other is shows that no other is read.
  await writeTargets(join(dir, 'one'), makePlan({ rows: rowsPerShard, rowsPerShard, rowsPerBatch: 2048 }), 5000)
  const targets = await openTargets(join(dir, 'one'))
  const { manifest } = targets
  await targets.close()
  await mkdir(join(dir, 'all/data'), { recursive: true })
  const fileOf = (index: number) => `data/${String(index).padStart(5, '0')}.arrow`
  await rename(join(dir, 'one', fileOf(0)), join(dir, 'all', fileOf(real)))
  const rows = shards * rowsPerShard
  const many = Array.from({ length: shards }, (_, i) => ({ ...manifest.shards[0]!, file: fileOf(i) }))
  const text = formatManifest({ ...manifest, rows, source: { ...manifest.source, rows }, shards: many })
  await writeFile(join(dir, 'all/manifest.json'), text)

  const row = real * rowsPerShard + 4321
  const said = execFileSync(process.execPath, ['--import', 'tsx', child, join(dir, 'all'), String(row)])
  const { id, cpuSeconds, mib, ...found } = JSON.parse(said.toString())
  expect(found.rows).toBe(1e9)
  expect(id).toMatch(/^row\/4321/)
  expect(mib).toBeLessThan(1024)
  expect(cpuSeconds).toBeLessThan(2) // the processor's, not the clock's: other tests run beside
  console.log(
    `100,000 shards: ${cpuSeconds.toFixed(2)} s of the processor, ${mib} MiB, manifest of ${(text.length / 2 ** 20).toFixed(0)} MiB`,
  )
})
