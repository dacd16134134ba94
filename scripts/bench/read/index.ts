/**
 * Reading: chunks against pyarrow on the same shards in rounds that take turns, random rows, an id that is not there, memory.
 * `reuse` is pyarrow's like: it drops each batch, whose memory its pool, or malloc, hands out again; without it each chunk's pages are new.
 * Writes datasets of 1000 classes, 1 GB of f32 and 4 GB of f16, to the temporary folder; pyarrow is taken from DECANT_PYTHON.
 *
 *     npx tsx scripts/bench/read [rounds]
 */
import { execFileSync, spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { type CodecName, chooseRows, createTargets, idColumn, openTargets } from '../../../src/cache/index.js'
import { random } from '../../../src/random.js'

const classes = 1000
const block = 500
const median = (values: number[]) => values.toSorted((a, b) => a - b)[values.length >> 1]!

async function writeDataset(dir: string, codec: CodecName, rows: number): Promise<void> {
  const sizes = chooseRows({ codec, classes, shardBytes: 128 * 2 ** 20 })
  const writer = await createTargets(dir, {
    classes,
    names: null,
    codec,
    ...sizes,
    teacher: { file: 'none', sha256: '0'.repeat(64), opset: 18, output: 'logits', logits: 'logits', producer: 'bench' },
    source: { uri: 'none', kind: 'none', fingerprint: '0'.repeat(64), rows },
    preprocess: null,
    runtime: { decant: 'bench', onnxruntime: 'none', provider: 'none', precision: 'float32', batch: 1 },
    license: null,
  })
  const { normal } = random('read', codec)
  const logits = Float32Array.from({ length: block * classes }, () => normal() * 3)
  for (let shard = 0; shard * sizes.rowsPerShard < rows; shard++) {
    await writer.beginShard(shard)
    const end = Math.min(rows, (shard + 1) * sizes.rowsPerShard)
    for (let row = shard * sizes.rowsPerShard; row < end; row += block) {
      const n = Math.min(block, end - row)
      const ids = idColumn(Array.from({ length: n }, (_, i) => `image-${row + i}.png`))
      await writer.append({ rows: n, ids, labels: new Int32Array(n), logits: logits.subarray(0, n * classes) })
    }
    await writer.endShard()
  }
  await writer.finish({ created: new Date().toISOString() })
}

/** Seconds to have every row's float32 logits in memory once. */
async function readChunks(dir: string, reuse: boolean): Promise<number> {
  const targets = await openTargets(dir)
  const started = performance.now()
  let sum = 0
  for await (const { logits } of targets.chunks({ reuse })) sum += logits[0]!
  await targets.close()
  if (Number.isNaN(sum)) throw new Error('not finite')
  return (performance.now() - started) / 1000
}

async function readRows(dir: string, count: number) {
  const targets = await openTargets(dir)
  const { below } = random('rows')
  const times: number[] = []
  for (let i = 0; i < count; i++) {
    const row = below(targets.rows)
    const started = performance.now()
    void (await targets.row(row)).logits
    times.push(performance.now() - started)
  }
  const started = performance.now()
  await targets.byId('not there')
  const byId = (performance.now() - started) / 1000
  await targets.close()
  times.sort((a, b) => a - b)
  return { median: times[count >> 1]!, p99: times[Math.floor(count * 0.99)]!, rowsPerSecond: targets.rows / byId }
}

function openPeer() {
  const script = fileURLToPath(new URL('peer.py', import.meta.url))
  const peer = spawn(process.env.DECANT_PYTHON ?? 'python3', [script], { stdio: ['pipe', 'pipe', 'inherit'] })
  const answers = createInterface({ input: peer.stdout })[Symbol.asyncIterator]()
  return {
    async read(request: { files: string[]; codec: CodecName; map: boolean }): Promise<number> {
      peer.stdin.write(`${JSON.stringify(request)}\n`)
      return (JSON.parse((await answers.next()).value) as { seconds: number }).seconds
    },
    close: () => peer.stdin.end(),
  }
}

/** Peak memory of a process that reads the whole dataset, or a tenth of it. */
const peakOf = (dir: string, share: number) =>
  Number(
    execFileSync(process.execPath, ['--import', 'tsx', fileURLToPath(import.meta.url), 'child', dir, String(share)], {
      encoding: 'utf8',
    }),
  )

async function compare(dir: string, codec: CodecName, rounds: number): Promise<void> {
  const targets = await openTargets(dir)
  const files = targets.manifest.shards.map(({ file }) => join(dir, file))
  const bytes = targets.manifest.shards.reduce((sum, shard) => sum + shard.bytes, 0)
  await targets.close()
  const peer = openPeer()
  const times: Record<string, number[]> = { decant: [], 'decant, reuse': [], pyarrow: [], 'pyarrow, mapped': [] }
  await peer.read({ files, codec, map: true }) // into the system's cache
  for (let round = 0; round < rounds; round++) {
    times.decant!.push(await readChunks(dir, false))
    times['decant, reuse']!.push(await readChunks(dir, true))
    times.pyarrow!.push(await peer.read({ files, codec, map: false }))
    times['pyarrow, mapped']!.push(await peer.read({ files, codec, map: true }))
  }
  peer.close()
  const rates = Object.entries(times).map(
    ([name, seconds]) => `${name} ${(bytes / median(seconds) / 1e9).toFixed(2)} GB/s`,
  )
  console.log(`chunks of ${codec}, ${(bytes / 1e9).toFixed(1)} GB: ${rates.join(', ')} (medians of ${rounds})`)
}

if (process.argv[2] === 'child') {
  const targets = await openTargets(process.argv[3]!)
  let sum = 0
  for await (const { logits } of targets.chunks({ to: Math.floor(targets.rows * Number(process.argv[4])) }))
    sum += logits[0]!
  await targets.close()
  console.log(sum === 0 ? 0 : Math.round(process.resourceUsage().maxRSS / 1024))
} else {
  const rounds = Number(process.argv[2] ?? 5)
  const folder = mkdtempSync(join(tmpdir(), 'decant-read-'))
  try {
    const [f32, f16] = [join(folder, 'f32'), join(folder, 'f16')]
    await writeDataset(f32, 'f32', 250_000)
    await compare(f32, 'f32', rounds)
    await writeDataset(f16, 'f16', 2_000_000)
    await compare(f16, 'f16', rounds)
    const rows = await readRows(f16, 2000)
    console.log(`random rows of 4 GB: median ${rows.median.toFixed(2)} ms, 99 % below ${rows.p99.toFixed(2)} ms`)
    console.log(`byId of an id that is not there: ${(rows.rowsPerSecond / 1e6).toFixed(1)} million rows/s`)
    console.log(`peak memory: ${peakOf(f16, 0.1)} MiB for a tenth of the rows, ${peakOf(f16, 1)} MiB for all`)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}
