/**
 * Speed of an export against bare `session.run` loops over ready batches of the same fused model, in worker threads as the export has
 * them: one loop with all cores, and a loop a core, as the export shares them out. Then against the floor: a loop a core that also reads the
 * source's bytes, hashes and writes as many as the dataset has, and syncs them. Runs take turns; medians and ratios are printed, and the
 * seconds that an export takes however few rows it has (V8's compiler, card, manifest, the ends of the threads).
 *
 *     npx tsx scripts/bench/export.ts [rounds] [example|10|1000]
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { cpus, tmpdir } from 'node:os'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { encodeModel, GraphBuilder } from '../../src/onnx/index.js'
import { random } from '../../src/random.js'
import { openSource, readPreprocess, type Source } from '../../src/source/index.js'
import { type ExportEvent, exportTargets } from '../../src/teacher/index.js'
import { loadTeacher } from '../../src/teacher/load-teacher.js'
import { sessionOptions } from '../../src/teacher/provider.js'
import { startThread } from '../../src/thread.js'

const rounds = Number(process.argv[2] ?? 5)
const wanted = (name: string) => (process.argv[3] ?? name) === name
const median = (values: number[]) => values.toSorted((a, b) => a - b)[values.length >> 1]!
const whole = (value: number) => Math.round(value).toLocaleString('en-US')
const folder = mkdtempSync(join(tmpdir(), 'decant-bench-'))

interface Run {
  source: Source
  teacher: string
  batch: number
}

/** From the plan to the manifest: hashing, syncing and renaming included, loading the teacher not. */
async function exported({ source, teacher, batch }: Run, range?: { from: number; to: number }) {
  const out = join(folder, 'targets')
  let began = 0
  const onEvent = (event: ExportEvent) => {
    if (event.type === 'batch') began = performance.now()
  }
  const options = { source, teacher, out, batch, ...(range && { range }) }
  const { rows, shards } = await exportTargets({ ...options, provider: 'cpu', onEvent })
  const seconds = (performance.now() - began) / 1000
  rmSync(out, { recursive: true })
  return { rate: rows / seconds, seconds, bytesPerRow: shards.reduce((sum, { bytes }) => sum + bytes, 0) / rows }
}

/** A loop with all cores, or loops of a thread each; with `bytesPerRow` of a dataset also its reading and writing. */
async function bare({ source, teacher, batch }: Run, loops: number, bytesPerRow?: number): Promise<number> {
  const { output, read } = await loadTeacher({ teacher, source })
  const loaded = read(output.propose(output.classes))
  const workerData = {
    model: loaded.fuse({ codec: 'f16', classes: 0 }).model,
    options: { ...sessionOptions('cpu', 0), ...(loops > 1 && { intraOpNumThreads: 1 }) },
    shape: source.input.shape,
    batch,
    rows: Math.ceil(source.rows / loops),
  }
  const { inFile } = source
  const rates = Array.from({ length: loops }, async (_, i) => {
    const disk = inFile && {
      source: inFile.path,
      position: inFile.position + Math.floor((i * source.rows) / loops) * inFile.bytes,
      out: join(folder, `floor-${i}`),
      bytesPerRow,
    }
    const worker = startThread('./bare-worker', import.meta.url, { ...workerData, ...(bytesPerRow && { disk }) })
    const { rowsPerSecond } = await new Promise<{ rowsPerSecond: number }>((resolve, reject) => {
      worker.once('message', resolve)
      worker.once('error', reject)
    })
    await worker.terminate()
    return rowsPerSecond
  })
  return (await Promise.all(rates)).reduce((sum, rate) => sum + rate, 0)
}

async function compare(name: string, source: Source, teacher: string, batch: number) {
  const run = { source, teacher, batch }
  const [ours, one, each, floor, fixed]: number[][] = [[], [], [], [], []]
  for (let round = 0; round < rounds; round++) {
    one!.push(await bare(run, 1))
    each!.push(await bare(run, cpus().length))
    const { rate, bytesPerRow } = await exported(run)
    ours!.push(rate)
    if (source.inFile) floor!.push(await bare(run, cpus().length, bytesPerRow))
    fixed!.push((await exported(run, { from: 0, to: batch })).seconds)
  }
  const rate = median(ours!)
  const against = (peer: number[]) => `${whole(median(peer))} (ratio ${(rate / median(peer)).toFixed(3)})`
  console.log(`${name}: export ${whole(rate)} rows/s, ${median(fixed!).toFixed(2)} s of it for any number of rows; bare session.run:
  one loop with all cores ${against(one!)}
  a loop a core ${against(each!)}
  ${floor!.length > 0 ? `a loop a core that reads, hashes, writes and syncs ${against(floor!)}` : 'the source is gzip: no floor'}
  batch ${batch}, ${source.rows} rows, medians of ${rounds}`)
}

function writeOneLayerTeacher(path: string, classes: number): void {
  const stream = random('one-layer')
  const graph = new GraphBuilder()
  const image = graph.input('image', 'float32', ['N', 1, 28, 28])
  const flat = graph.node('Reshape', [image, graph.i64([-1, 784])])
  const weights = graph.f32(
    Float32Array.from({ length: 784 * classes }, () => stream.normal() / 28),
    [784, classes],
  )
  graph.output('logits', 'float32', ['N', classes], graph.node('MatMul', [flat, weights]))
  writeFileSync(path, encodeModel(graph.model({ name: 'one-layer' })))
}

/** Many rows, not compressed: a source that is no bottleneck. Synced, or the kernel writes it back while the first rounds run. */
function writeManyRows(path: string, rows: number): void {
  const images = gunzipSync(readFileSync('data/t10k-images-idx3-ubyte.gz')).subarray(16)
  const header = Buffer.from([0, 0, 8, 3, 0, 0, 0, 0, 0, 0, 0, 28, 0, 0, 0, 28])
  header.writeUInt32BE(rows, 4)
  const body = Buffer.alloc(rows * 784)
  for (let at = 0; at < body.length; at += images.length) images.copy(body, at)
  writeFileSync(path, Buffer.concat([header, body]), { flush: true })
}

try {
  console.log(`${cpus()[0]!.model}, ${cpus().length} cores, Node ${process.version}`)
  const preprocess = await readPreprocess('data/preprocess.json')
  if (wanted('example')) {
    const example = await openSource('data/t10k-images-idx3-ubyte.gz', { preprocess })
    await compare("the example's teacher", example, 'data/teacher.onnx', 64)
    await example.close()
  }
  for (const [classes, rows] of [
    [10, 1_600_000],
    [1000, 200_000],
  ] as const) {
    if (!wanted(String(classes))) continue
    const many = join(folder, `${rows}-images-idx3-ubyte`)
    writeManyRows(many, rows)
    const source = await openSource(many, { preprocess })
    const teacher = join(folder, `one-layer-${classes}.onnx`)
    writeOneLayerTeacher(teacher, classes)
    await compare(`a one-layer teacher of ${classes} classes`, source, teacher, 1024)
    await source.close()
  }
} finally {
  rmSync(folder, { recursive: true, force: true })
}
