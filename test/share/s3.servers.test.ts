import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import * as sdk from '@aws-sdk/client-s3'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { openTargets } from '../../src/cache/index.js'
import { pullTargets, pushTargets } from '../../src/share/index.js'
import { openDataset } from '../../src/share/open-dataset.js'
import { readRange } from '../../src/share/read-range.js'
import type { Content } from '../../src/share/store.js'
import { openS3Store } from '../../src/share/stores/s3.js'
import { makePlan, writeTargets } from '../cache/datasets.js'
import { hashFolder, temporaryFolder } from '../helpers/folder.js'
import { hasPackage } from '../helpers/python.js'
import { type Moto, startMoto, withEnvironment } from '../helpers/servers.js'
import { bytesOf, patternContent } from './content.js'

const missing = !hasPackage('moto')
let moto: Moto
let client: sdk.S3Client
let count = 0
let bucket = ''

beforeAll(async () => {
  if (!missing) moto = await startMoto()
})
afterAll(() => moto?.stop())
beforeEach(async ({ task }) => {
  if (task.mode === 'skip' || missing) return
  withEnvironment(environment())
  client = new sdk.S3Client({ endpoint: moto.endpoint, forcePathStyle: true, region: 'us-east-1' })
  bucket = `bucket-${++count}`
  await client.send(new sdk.CreateBucketCommand({ Bucket: bucket }))
})
const environment = () => ({
  AWS_ENDPOINT_URL_S3: moto.endpoint,
  AWS_ACCESS_KEY_ID: 'the-key',
  AWS_SECRET_ACCESS_KEY: 'the-secret',
  AWS_EC2_METADATA_DISABLED: 'true',
})

const open = (prefix = 'some/where/') =>
  openS3Store({ bucket, prefix }, { retry: { attempts: 2, sleep: async () => {} } })
const hash = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex')
const uploads = async () => (await client.send(new sdk.ListMultipartUploadsCommand({ Bucket: bucket }))).Uploads ?? []
const MiB = 2 ** 20

describe.skipIf(missing)('a bucket of moto', () => {
  test('gives back what was written, whole and in parts of it, with its SHA-256', async () => {
    const store = await open()
    expect(await store.list()).toEqual([])
    expect(await store.head('data/00000.arrow')).toBeUndefined()
    const content = patternContent(100_000)
    let sent = 0
    await store.write('data/00000.arrow', content, { onBytes: (bytes) => (sent += bytes) })
    await store.write('manifest.json', patternContent(10))
    expect(sent).toBe(100_000)
    const found = (await store.head('data/00000.arrow'))!
    expect(found).toMatchObject({ name: 'data/00000.arrow', bytes: 100_000, sha256: content.sha256 })
    expect(await store.list()).toMatchObject([
      { name: 'data/00000.arrow', bytes: 100_000, etag: found.etag },
      { name: 'manifest.json' },
    ])
    const part = await bytesOf(readRange(store, 'data/00000.arrow', { from: 99, to: 5000, etag: found.etag }))
    expect(part.equals(await bytesOf(content.read(99, 5000)))).toBe(true)
    await store.delete('data/00000.arrow')
    expect(await store.head('data/00000.arrow')).toBeUndefined()
  })

  test('lists more than a page of files, and only its own', async () => {
    const store = await open('a/')
    await client.send(new sdk.PutObjectCommand({ Bucket: bucket, Key: 'ab/other', Body: 'x' }))
    const names = Array.from({ length: 7 }, (_, i) => `data/${String(i).padStart(5, '0')}.arrow`)
    for (const name of names)
      await client.send(new sdk.PutObjectCommand({ Bucket: bucket, Key: `a/${name}`, Body: 'x' }))
    expect((await store.list()).map(({ name }) => name)).toEqual(names)
  })

  test('sees that a file has changed since', async () => {
    const store = await open()
    await store.write('a', patternContent(10))
    const { etag } = (await store.head('a'))!
    await store.write('a', patternContent(12))
    await expect(bytesOf(store.read('a', { from: 0, to: 5, etag: etag! }))).rejects.toThrow(
      `s3://${bucket}/some/where/a: the file changed`,
    )
  })

  test('takes no bytes with another hash, at once or in parts', async () => {
    const store = await open()
    for (const bytes of [1000, 20 * MiB]) {
      const wrong: Content = { ...patternContent(bytes), sha256: '0'.repeat(64) }
      await expect(store.write('a', wrong)).rejects.toThrow('expected SHA-256 000')
      expect(await store.head('a')).toBeUndefined()
    }
    expect(await uploads()).toEqual([])
  })

  test('goes on with the parts that a killed process has sent', async () => {
    const bytes = 60 * MiB
    const child = spawn(
      process.execPath,
      ['--import', 'tsx', fileURLToPath(new URL('s3-child.ts', import.meta.url)), bucket, String(bytes)],
      {
        env: { ...process.env, ...environment() },
        stdio: ['ignore', 'pipe', 'inherit'],
      },
    )
    const ended = new Promise((resolve) => child.once('exit', resolve))
    let before = 0
    for await (const line of child.stdout) {
      before += String(line).split('\n').length - 1
      if (before >= 3) break
    }
    child.kill('SIGKILL')
    await ended
    expect(await uploads()).toHaveLength(1)
    const UploadId = (await uploads())[0]!.UploadId!
    const parts = await client.send(new sdk.ListPartsCommand({ Bucket: bucket, Key: 'some/where/big', UploadId }))
    const there = parts.Parts!.length
    expect(there).toBeGreaterThanOrEqual(3)
    expect(there).toBeLessThan(8)

    const sent = countRequests('UploadPartCommand')
    const content = patternContent(bytes)
    const store = await open()
    await store.write('big', content)
    expect(sent()).toBe(8 - there)
    expect(await store.head('big')).toMatchObject({ bytes, sha256: content.sha256 })
    expect(hash(await bytesOf(readRange(store, 'big', { from: 0, to: bytes })))).toBe(content.sha256)
    expect(await uploads()).toEqual([])
  })

  test('what was left of another file is not taken for this one, nor are its metadata', async () => {
    const store = await open()
    const [old, now] = [patternContent(40 * MiB), patternContent(40 * MiB, { changedAt: 33 * MiB })]
    const controller = new AbortController()
    const stopped = store.write('big', old, {
      signal: controller.signal,
      onBytes: () => controller.abort(new Error('stopped')),
    })
    await expect(stopped).rejects.toThrow('stopped')
    expect(await uploads()).toHaveLength(1)
    let progress = 0
    await store.write('big', now, { onBytes: (bytes) => (progress += bytes) })
    expect(progress).toBe(now.bytes)
    expect(await store.head('big')).toMatchObject({ bytes: now.bytes, sha256: now.sha256 })
    expect(hash(await bytesOf(readRange(store, 'big', { from: 0, to: now.bytes })))).toBe(now.sha256)
  })

  test('a bucket that is not there, and keys that it does not know, are named', async () => {
    const store = await openS3Store({ bucket: 'no-such-bucket', prefix: '' }, { retry: { attempts: 1 } })
    await expect(store.list()).rejects.toThrow('s3://no-such-bucket: there is no such bucket')
    await expect(store.write('a', patternContent(1))).rejects.toThrow('s3://no-such-bucket/a: there is no such bucket')
  })
})

describe.skipIf(missing)('push and pull', () => {
  test('bring the dataset there and back, read it where it is, and send nothing twice', async () => {
    const [dir, copy] = [temporaryFolder(), join(temporaryFolder(), 'copy')]
    await writeTargets(dir, makePlan({ teacherLicense: 'mit' }))
    const uri = `s3://${bucket}/sets/one`
    const first = await pushTargets(dir, uri)
    expect(first.sent.at(-1)).toBe('manifest.json')
    const sent = countRequests('PutObjectCommand')
    expect(await pushTargets(dir, uri)).toMatchObject({ sent: [], sentBytes: 0 })
    // a push that was killed before the manifest: what has arrived is known by its hash
    await client.send(new sdk.DeleteObjectCommand({ Bucket: bucket, Key: 'sets/one/manifest.json' }))
    const read = countRequests('GetObjectCommand')
    expect(await pushTargets(dir, uri)).toMatchObject({ sent: ['manifest.json'] })
    expect(read()).toBe(0)
    expect(sent()).toBe(1)
    await pullTargets(`${uri}#sha256=${first.manifest}`, { dir: copy })
    expect(hashFolder(copy)).toEqual(hashFolder(dir))

    const [there, here] = [await openDataset(uri), await openTargets(dir)]
    expect((await there.row(77)).logits).toEqual((await here.row(77)).logits)
    const [found, expected] = [await there.load(), await here.load()]
    expect(found.ids()).toEqual(expected.ids())
    expect(found.logits).toEqual(expected.logits)
    await Promise.all([there.close(), here.close()])
  })
})

/** Requests of one kind that the store's clients send from now on. */
function countRequests(name: string): () => number {
  let sent = 0
  const original = sdk.S3Client.prototype.send
  sdk.S3Client.prototype.send = function (this: sdk.S3Client, command: object, ...rest: never[]) {
    if (command.constructor.name === name) sent++
    return (original as (...args: unknown[]) => unknown).call(this, command, ...rest)
  } as never
  return () => {
    sdk.S3Client.prototype.send = original
    return sent
  }
}
