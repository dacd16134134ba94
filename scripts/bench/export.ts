/**
 * Speed of an export against a bare `session.run` loop over ready batches of the same fused model, in a worker thread as the
 * export has it. Runs take turns; medians and their ratio are printed.
 *
 *     npx tsx scripts/bench/export.ts [rounds]
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { cpus, tmpdir } from 'node:os'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { encodeModel, GraphBuilder } from '../../src/onnx/index.js'
import { random } from '../../src/random.js'
import { openSource, type Preprocess, readPreprocess, type Source } from '../../src/source/index.js'
import { type ExportEvent, exportTargets } from '../../src/teacher/index.js'
import { loadTeacher } from '../../src/teacher/load-teacher.js'
import { sessionOptions } from '../../src/teacher/provider.js'
import { startThread } from '../../src/thread.js'

const rounds = Number(process.argv[2] ?? 5)
const median = (values: number[]) => values.toSorted((a, b) => a - b)[values.length >> 1]!
const folder = mkdtempSync(join(tmpdir(), 'decant-bench-'))

/** Rows a second between the plan and the manifest: hashing, syncing and renaming included, loading the teacher not. */
async function exported(source: Source, teacher: string, preprocess: Preprocess, batch: number): Promise<number> {
  const out = join(folder, 'targets')
  let began = 0
  const onEvent = (event: ExportEvent) => {
    if (event.type === 'batch') began = performance.now()
  }
  const manifest = await exportTargets({ source, teacher, out, preprocess, batch, provider: 'cpu', onEvent })
  const seconds = (performance.now() - began) / 1000
  rmSync(out, { recursive: true })
  return manifest.rows / seconds
}

async function bare(source: Source, teacher: string, preprocess: Preprocess, batch: number): Promise<number> {
  const loaded = await loadTeacher({ teacher, source, preprocess })
  const workerData = {
    model: loaded.fuse({ codec: 'f16', classes: 0 }).model,
    options: sessionOptions('cpu', 0),
    shape: source.input.shape,
    batch,
    rows: source.rows,
  }
  const worker = startThread('./bare-worker', import.meta.url, workerData)
  const { rowsPerSecond } = await new Promise<{ rowsPerSecond: number }>((resolve, reject) => {
    worker.once('message', resolve)
    worker.once('error', reject)
  })
  await worker.terminate()
  return rowsPerSecond
}

async function compare(name: string, source: Source, teacher: string, preprocess: Preprocess, batch: number) {
  const ours: number[] = []
  const peer: number[] = []
  for (let round = 0; round < rounds; round++) {
    peer.push(await bare(source, teacher, preprocess, batch))
    ours.push(await exported(source, teacher, preprocess, batch))
  }
  const [a, b] = [median(ours), median(peer)]
  console.log(
    `${name}: export ${Math.round(a).toLocaleString('en-US')} rows/s, bare session.run ${Math.round(b).toLocaleString('en-US')} rows/s, ratio ${(a / b).toFixed(3)} (batch ${batch}, ${source.rows} rows, medians of ${rounds})`,
  )
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

/** Many rows, not compressed: a source that is no bottleneck. */
function writeManyRows(path: string, rows: number): void {
  const images = gunzipSync(readFileSync('data/t10k-images-idx3-ubyte.gz')).subarray(16)
  const header = Buffer.from([0, 0, 8, 3, 0, 0, 0, 0, 0, 0, 0, 28, 0, 0, 0, 28])
  header.writeUInt32BE(rows, 4)
  const body = Buffer.alloc(rows * 784)
  for (let at = 0; at < body.length; at += images.length) images.copy(body, at)
  writeFileSync(path, Buffer.concat([header, body]))
}

try {
  console.log(`${cpus()[0]!.model}, ${cpus().length} cores, Node ${process.version}`)
  const preprocess = await readPreprocess('data/preprocess.json')
  const example = await openSource('data/t10k-images-idx3-ubyte.gz', { preprocess })
  await compare("the example's teacher", example, 'data/teacher.onnx', preprocess, 64)
  await example.close()

  for (const [classes, rows] of [
    [10, 1_600_000],
    [1000, 200_000],
  ] as const) {
    const many = join(folder, `${rows}-images-idx3-ubyte`)
    writeManyRows(many, rows)
    const source = await openSource(many, { preprocess })
    const teacher = join(folder, `one-layer-${classes}.onnx`)
    writeOneLayerTeacher(teacher, classes)
    await compare(`a one-layer teacher of ${classes} classes`, source, teacher, preprocess, 1024)
    await source.close()
  }
} finally {
  rmSync(folder, { recursive: true, force: true })
}
