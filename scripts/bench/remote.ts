/**
 * `decant train` from a web server on loopback, its cache cold, against the same from disk: whole processes, in rounds that take turns. The
 * dataset has 10 classes and inputs of 3072 bytes stored with it, 155 MB in shards of 64 MiB; each student sees it once.
 *
 *     npx tsx scripts/bench/remote.ts [rounds]
 */
import { execFile } from 'node:child_process'
import { createReadStream, mkdtempSync, rmSync, statSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { chooseRows, createTargets, idColumn } from '../../src/cache/index.js'
import { random } from '../../src/random.js'

const rounds = Number(process.argv[2] ?? 3)
const [classes, shape, rows, block] = [10, [32, 32, 3], 50_000, 500]
const median = (values: number[]) => values.toSorted((a, b) => a - b)[values.length >> 1]!
const folder = mkdtempSync(join(tmpdir(), 'decant-remote-'))
const main = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url))

async function writeDataset(dir: string): Promise<void> {
  const inputs = { kind: 'image' as const, shape }
  const sizes = chooseRows({ codec: 'f16', classes, inputs, shardBytes: 64 * 2 ** 20 })
  const writer = await createTargets(dir, {
    classes,
    names: null,
    codec: 'f16',
    inputs,
    ...sizes,
    teacher: { file: 'none', sha256: '0'.repeat(64), opset: 18, output: 'logits', logits: 'logits', producer: 'bench' },
    source: { uri: 'none', kind: 'none', fingerprint: '0'.repeat(64), rows },
    preprocess: null,
    runtime: { decant: 'bench', onnxruntime: 'none', provider: 'none', precision: 'float32', batch: 1 },
    license: null,
  })
  const { normal, below } = random('remote')
  const logits = Float32Array.from({ length: block * classes }, () => normal() * 3)
  const input = Uint8Array.from({ length: block * 3072 }, () => below(256))
  for (let shard = 0; shard * sizes.rowsPerShard < rows; shard++) {
    await writer.beginShard(shard)
    const end = Math.min(rows, (shard + 1) * sizes.rowsPerShard)
    for (let row = shard * sizes.rowsPerShard; row < end; row += block) {
      const n = Math.min(block, end - row)
      await writer.append({
        rows: n,
        ids: idColumn(Array.from({ length: n }, (_, i) => `image-${row + i}.png`)),
        labels: Int32Array.from({ length: n }, (_, i) => i % classes),
        logits: logits.subarray(0, n * classes),
        columns: { input: input.subarray(0, n * 3072) },
      })
    }
    await writer.endShard()
  }
  await writer.finish({ created: new Date().toISOString() })
}

/** A plain server of files, as many are: Range, ETag by size and time, If-Match. */
async function serve(dir: string) {
  let requests = 0
  const server = createServer((request, response) => {
    requests++
    const path = join(dir, request.url!)
    const { size, mtimeMs } = statSync(path)
    const range = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? '')
    const [from, to] = range ? [Number(range[1]), Number(range[2])] : [0, size - 1]
    response.writeHead(range ? 206 : 200, {
      etag: `"${size}-${mtimeMs}"`,
      'content-length': to - from + 1,
      ...(range && { 'content-range': `bytes ${from}-${to}/${size}` }),
    })
    if (request.method === 'HEAD') response.end()
    else createReadStream(path, { start: from, end: to, highWaterMark: 2 ** 20 }).pipe(response)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests: () => requests,
    close: () => server.close(),
  }
}

async function train(place: string, cache: string): Promise<number> {
  const flags = ['--student', 'mlp:32', '--temperature', '4', '--epochs', '1', '--batch', '512']
  const started = performance.now()
  await promisify(execFile)(process.execPath, ['--import', 'tsx', main, 'train', place, ...flags], {
    env: { ...process.env, DECANT_CACHE_DIR: cache },
  })
  return (performance.now() - started) / 1000
}

try {
  const dir = join(folder, 'targets')
  await writeDataset(dir)
  const server = await serve(dir)
  const times: Record<'disk' | 'cold' | 'warm', number[]> = { disk: [], cold: [], warm: [] }
  const requests: number[] = []
  await train(dir, folder) // into the system's cache
  for (let round = 0; round < rounds; round++) {
    const cache = join(folder, `cache-${round}`)
    const before = server.requests()
    times.disk.push(await train(dir, cache))
    times.cold.push(await train(server.url, cache))
    requests.push(server.requests() - before)
    times.warm.push(await train(server.url, cache))
    rmSync(cache, { recursive: true })
  }
  server.close()
  const [disk, cold, warm] = [median(times.disk), median(times.cold), median(times.warm)]
  const ratios = times.cold.map((seconds, round) => seconds / times.disk[round]!)
  console.log(
    `decant train on ${rows} rows, 155 MB (medians of ${rounds}): from disk ${disk.toFixed(2)} s, from http ${cold.toFixed(2)} s with a cold cache, ${warm.toFixed(2)} s with a warm one`,
  )
  console.log(
    `cold / disk: ${median(ratios).toFixed(2)} (${ratios.map((ratio) => ratio.toFixed(2)).join(', ')}); ${median(requests)} requests`,
  )
} finally {
  rmSync(folder, { recursive: true, force: true })
}
