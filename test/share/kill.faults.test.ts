import { existsSync, readFileSync } from 'node:fs'
import { cp, rm } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3'
import { expect, onTestFinished, test } from 'vitest'
import { verifyTargets } from '../../src/cache/index.js'
import { pullTargets, pushTargets } from '../../src/share/index.js'
import { makePlan, writeTargets } from '../cache/datasets.js'
import { hashFolder, temporaryFolder, withoutTime } from '../helpers/folder.js'
import { killAtRandom, startVictim } from '../helpers/kills.js'
import { hasPackage } from '../helpers/python.js'
import { startMoto, withEnvironment } from '../helpers/servers.js'
import { serveFolder } from './file-server.js'

// Part of `npm run faults`: 50 kills of pushes and 50 of pulls, fewer where DECANT_KILLS is below 200; seeded by DECANT_SEED. The moments are the
// clock's, so a seed only says about when.
const seed = Number(process.env.DECANT_SEED ?? Date.now() % 2 ** 32)
const KILLS = Math.ceil(Number(process.env.DECANT_KILLS ?? 200) / 4 / 4) // of each operation
const plan = { rows: 2000, rowsPerShard: 40, rowsPerBatch: 16, teacherLicense: 'mit' }
const child = fileURLToPath(new URL('share-child.ts', import.meta.url))

console.log(`kills: DECANT_SEED=${seed}`)

const operations = [
  'push to a folder',
  'push to a web server',
  'push over another dataset',
  'push to a bucket',
  'pull from a folder',
  'pull from a web server',
  'pull from a bucket',
  'pull of rows',
] as const
const missing = !hasPackage('moto')

test.for(operations)(
  '%s, killed at random moments and run again, ends with the exact dataset',
  async (operation, { skip }) => {
    const bucket = operation.endsWith('bucket')
    if (bucket && missing) skip('moto is not installed')
    const root = temporaryFolder()
    const [source, before] = [join(root, 'source'), join(root, 'before')]
    await writeTargets(source, makePlan(plan))
    await writeTargets(before, makePlan({ ...plan, classes: 4 }))
    const served = await serveFolder(root)
    onTestFinished(() => served.close())
    if (bucket) await openBucket()
    const push = operation.startsWith('push')
    const web = operation.endsWith('web server') || operation === 'push over another dataset'

    const prepare = async (out: string) => {
      if (operation === 'push over another dataset') await cp(before, join(root, out), { recursive: true })
    }
    const start = (out: string) => {
      const there = (name: string) =>
        bucket ? `s3://bucket/${name}` : web ? `${served.url}/${name}` : join(root, name)
      const [from, to] = push ? [source, there(out)] : [there('source'), join(root, out)]
      const what = push ? 'push' : operation === 'pull of rows' ? 'rows' : 'pull'
      return startVictim(child, what, from, to)
    }

    if (bucket && !push) await pushTargets(source, 's3://bucket/source')
    const less = operation === 'pull of rows' ? withoutTime : undefined
    const manifests = [source, before].map((dir) => readFileSync(join(dir, 'manifest.json'), 'utf8'))
    let expected = operation === 'pull of rows' ? undefined : hashFolder(source)
    await killAtRandom({
      name: operation,
      seed,
      kills: KILLS,
      start,
      prepare,
      onKilled: (out) => checkBetween(join(root, out)),
      async check(out) {
        await bring(out)
        const found = hashFolder(join(root, out), less)
        expected ??= found
        expect(found).toEqual(expected)
        expect(await verifyTargets(join(root, out))).toMatchObject({ problems: [] })
      },
    })

    /** What was pushed to a bucket, as a folder: a pull checks all hashes. */
    async function bring(name: string): Promise<void> {
      if (bucket && push) await pullTargets(`s3://bucket/${name}`, { dir: join(root, name) })
    }

    /** At every moment: the old dataset whole, none, or the new one whole; and no wrong file under a shard's name of a pull. */
    async function checkBetween(out: string): Promise<void> {
      if (bucket && push) {
        await rm(out, { recursive: true, force: true })
        await bring(basename(out)).catch((error) => expect(String(error)).toMatch('found no manifest.json there'))
      }
      if (existsSync(join(out, 'manifest.json'))) {
        if (operation !== 'pull of rows') expect(manifests).toContain(readFileSync(join(out, 'manifest.json'), 'utf8'))
        expect(await verifyTargets(out)).toMatchObject({ problems: [] })
      } else if (!push && operation !== 'pull of rows' && existsSync(out)) {
        const named = Object.entries(hashFolder(out)).filter(([name]) => name.endsWith('.arrow'))
        for (const [name, sha256] of named) expect(sha256).toBe(expected![name])
      }
    }
  },
)

/** An S3 server with a bucket, for this process and its children. */
async function openBucket(): Promise<void> {
  const moto = await startMoto()
  onTestFinished(() => moto.stop())
  withEnvironment({
    AWS_ENDPOINT_URL_S3: moto.endpoint,
    AWS_ACCESS_KEY_ID: 'key',
    AWS_SECRET_ACCESS_KEY: 'secret',
    AWS_EC2_METADATA_DISABLED: 'true',
  })
  const client = new S3Client({ endpoint: moto.endpoint, forcePathStyle: true, region: 'us-east-1' })
  await client.send(new CreateBucketCommand({ Bucket: 'bucket' }))
}
