import { readdirSync, statSync, truncateSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it, test } from 'vitest'
import type { CodecName } from '../../src/cache/index.js'
import { openDataset } from '../../src/share/open-dataset.js'
import {
  compareReads,
  expectSame,
  makeSmall,
  newFolder,
  openServed,
  quick,
  readOn,
  serve,
  writeLarge,
} from './remote-datasets.js'

test.each(['f16', 'topk:16'] as CodecName[])(
  'a remote dataset of codec %s gives the rows of the local one, whatever is read in whatever order',
  (codec) => compareReads(codec, 3),
  20_000,
)

describe('requests', () => {
  it('are few and large where all rows are read in order, and none is repeated', async () => {
    const dir = newFolder()
    await writeLarge(dir, { rows: 1600, perShard: 1600 })
    const served = await serve(dir)
    for (const verify of [true, false]) {
      const targets = await openServed(dir, served, { cache: { dir: join(dir, '..', `cache-${verify}`) } })
      const before = { requests: served.requests.length, sent: served.sent }
      for await (const _ of targets.chunks({ verify })) void _
      await targets.close()
      // the manifest 2; of the shard of 6 MB: its ETag, its footer, then what is in demand in pieces of 4 to 8 MiB
      expect(served.requests.length - before.requests).toBeLessThanOrEqual(verify ? 2 + 4 : 2 + 6)
      expect(served.sent - before.sent).toBeLessThanOrEqual(
        targets.manifest.shards.reduce((sum, { bytes }) => sum + bytes, 0),
      )
    }
  })

  it('are a handful for one row, and none for what is in the cache but a look at its ETag', async () => {
    const dir = newFolder()
    await writeLarge(dir, { rows: 1000, perShard: 1000 })
    const served = await serve(dir)
    const read = async () => {
      const from = served.requests.length
      const targets = await openServed(dir, served)
      await targets.row(777)
      await targets.close()
      return served.requests.slice(from)
    }
    const cold = await read()
    expect(cold.slice(0, 3)).toEqual([
      'HEAD manifest.json',
      expect.stringMatching(/^GET manifest/),
      'HEAD data/00000.arrow',
    ])
    expect(cold.length).toBeLessThanOrEqual(7)
    expect(served.sent).toBeLessThan(1e6)
    expect((await read()).map((line) => line.split(' ')[0])).toEqual(['HEAD', 'GET', 'HEAD'])
  })
})

describe('whatever a server does, there are the right rows or an error', () => {
  it('a file that changes while it is read', async () => {
    const { dir } = await makeSmall()
    let changed = false
    const served = await serve(dir, (request, _, answer) => {
      if (request.headers.range && answer.name === 'data/00000.arrow') changed = true
      if (!changed || request.headers.range === undefined) return false
      answer.etag = '"another"'
      return false
    })
    const targets = await openServed(dir, served)
    await expect(targets.load()).rejects.toThrow(/00000.arrow: the file changed while it was read/)
    await targets.close()
  })

  it('one that changes and keeps its ETag, once a row of it has been read', async () => {
    const { dir, expected } = await makeSmall()
    let other = false
    const served = await serve(dir, (_, __, answer) => {
      if (other && answer.name.startsWith('data')) answer.bytes = Buffer.from(answer.bytes.map((byte) => byte ^ 1))
      return false
    })
    const cache = join(dir, '..', 'cache')
    const targets = await openServed(dir, served)
    expect((await targets.row(10)).logits).toEqual(expected.logits.slice(10_000, 11_000))
    for (const name of readdirSync(join(cache, 'blocks'))) truncateSync(join(cache, 'blocks', name))
    other = true
    await expect(targets.row(10)).rejects.toThrow('the file changed while it was read')
    await targets.close()
  })

  it('wrong bytes: refused by their hash, and not believed from the cache when the server is well again', async () => {
    const { dir, expected } = await makeSmall()
    let wrong = true
    const served = await serve(dir, (_, __, answer) => {
      if (wrong && answer.name === 'data/00001.arrow') {
        answer.bytes = Buffer.from(answer.bytes)
        answer.bytes[answer.bytes.length >> 1]! ^= 1
      }
      return false
    })
    const targets = await openServed(dir, served)
    await expect(readOn(targets, { verify: true, rows: 100 })).rejects.toThrow(/00001.arrow: damaged or altered/)
    await targets.close()
    wrong = false
    const again = await openServed(dir, served)
    const [found] = await readOn(again, { verify: true, rows: 500 })
    expectSame(found!, expected)
    await again.close()
  })

  it("a length that is not the manifest's, and a shard that is not there", async () => {
    const { dir } = await makeSmall()
    const served = await serve(dir, (_, response, answer) => {
      if (answer.name === 'data/00000.arrow') answer.bytes = answer.bytes.subarray(1)
      if (answer.name === 'data/00001.arrow') response.writeHead(404).end()
      return answer.name === 'data/00001.arrow'
    })
    const targets = await openServed(dir, served)
    await expect(targets.row(0)).rejects.toThrow(/00000.arrow: expected \d+ bytes, found \d+/)
    await expect(targets.row(499)).rejects.toThrow(/00001.arrow: listed in the manifest, but not there/)
    await targets.close()
  })

  it('bodies that end early are gone on with; where nothing comes any more there is an error', async () => {
    const { dir, expected } = await makeSmall()
    let share = 0.5
    const served = await serve(dir, (request, response, answer) => {
      const [, from, to] = /(\d+)-(\d+)/.exec(request.headers.range ?? '') ?? []
      if (from === undefined || !answer.name.startsWith('data')) return false
      const length = Number(to) + 1 - Number(from)
      response.writeHead(206, {
        etag: answer.etag,
        'content-length': length,
        'content-range': `bytes ${from}-${to}/${answer.bytes.length}`,
      })
      const sent = length < 200_000 && share > 0 ? length : Math.floor(length * share)
      response.write(answer.bytes.subarray(Number(from), Number(from) + sent), () => response.destroy())
      return true
    })
    const targets = await openServed(dir, served)
    const [found] = await readOn(targets, { rows: 500 })
    expectSame(found!, expected)
    await targets.close()
    share = 0
    const again = await openServed(dir, served, { cache: { dir: join(dir, '..', 'other') } })
    await expect(again.row(0)).rejects.toThrow(/00000.arrow/)
    await again.close()
  })

  it('most requests refused for now', async () => {
    const { dir, expected } = await makeSmall()
    let count = 0
    const served = await serve(dir, (_, response) => {
      const refuse = count++ % 3 !== 2
      if (refuse) response.writeHead(count % 2 ? 503 : 429).end()
      return refuse
    })
    const targets = await openServed(dir, served)
    const [found] = await readOn(targets, { rows: 500, verify: true })
    expectSame(found!, expected)
    await targets.close()
  })

  it('a manifest that is another than the pinned one, is too long, or is not there', async () => {
    const { dir, manifest } = await makeSmall()
    let bytes = -1
    const served = await serve(dir, (request, response, answer) => {
      if (bytes < 0 || answer.name !== 'manifest.json') return false
      if (bytes === 0) response.writeHead(404).end()
      else
        response
          .writeHead(200, { 'content-length': bytes, etag: answer.etag })
          .end(request.method === 'HEAD' ? undefined : ' ')
      return true
    })
    const options = { cache: { dir: join(dir, '..', 'cache') }, retry: quick }
    await (await openDataset(`${served.url}#sha256=${manifest}`, options)).close()
    await expect(openDataset(`${served.url}#sha256=${'0'.repeat(64)}`, options)).rejects.toThrow(
      `SHA-256: expected ${'0'.repeat(64)}, found ${manifest}`,
    )
    await expect(openDataset(`${dir}#sha256=${'0'.repeat(64)}`)).rejects.toThrow('another dataset')
    bytes = 2 ** 40
    await expect(openDataset(served.url, options)).rejects.toThrow('1099511627776 bytes, expected at most 268435456')
    bytes = 0
    await expect(openDataset(served.url, options)).rejects.toThrow(
      'expected a soft-target dataset, found no manifest.json',
    )
  })
})

describe('the cache', () => {
  it('holds no more than it may, however much is read through it', async () => {
    const dir = newFolder()
    await writeLarge(dir, { rows: 600, perShard: 50 })
    const served = await serve(dir)
    const targets = await openServed(dir, served, { cache: { dir: join(dir, '..', 'cache'), bytes: 1e6 } })
    const blocks = join(dir, '..', 'cache', 'blocks')
    let rows = 0
    for await (const chunk of targets.chunks({ rows: 50, verify: true })) {
      const held = readdirSync(blocks).reduce((sum, name) => sum + statSync(join(blocks, name)).blocks * 512, 0)
      expect(held).toBeLessThanOrEqual(1e6)
      rows += chunk.rows
    }
    expect(rows).toBe(600)
    await targets.close()
  })
})
