/**
 * A sweep of 8 students (mlp:128, batch 128, Adam) on two cores against PyTorch training the same, one after another on two
 * threads: same rows, batches and epochs (20, as `decant sweep` has it unless told otherwise); seconds to the end of the last student, loading
 * of code and data left out on both sides. Then the peak memory of sweeps with one and two workers, over few rows and over many:
 * what many rows add must not depend on the workers.
 *
 *     DECANT_PYTHON=… npx tsx scripts/bench/sweep.ts [rounds]
 */
import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { createTargets, idColumn, openTargets } from '../../src/cache/index.js'
import { random } from '../../src/random.js'
import { openSource } from '../../src/source/index.js'
import { sweep } from '../../src/student/index.js'

const here = fileURLToPath(import.meta.url)
const [classes, side, students, epochs] = [10, 28, 8, 20]
const median = (values: number[]) => values.toSorted((a, b) => a - b)[values.length >> 1]!

function idx(shape: number[], data: Uint8Array): Buffer {
  const header = Buffer.alloc(4 + 4 * shape.length)
  header.set([0, 0, 8, shape.length])
  for (const [axis, size] of shape.entries()) header.writeUInt32BE(size, 4 + 4 * axis)
  return Buffer.concat([header, data])
}

/** Images of noise, logits of a sine: as IDX files and soft targets for the sweep, and as they are for PyTorch. */
async function writeData(folder: string, rows: number): Promise<void> {
  mkdirSync(folder)
  const { uint32 } = random('sweep', rows)
  const pixels = Uint8Array.from({ length: rows * side * side }, () => uint32() & 255)
  const labels = Uint8Array.from({ length: rows }, (_, i) => i % classes)
  const logits = Float32Array.from({ length: rows * classes }, (_, i) => 3 * Math.sin(i))
  writeFileSync(join(folder, 'train-images-idx3-ubyte'), idx([rows, side, side], pixels))
  writeFileSync(join(folder, 'train-labels-idx1-ubyte'), idx([rows], labels))
  writeFileSync(join(folder, 'pixels'), pixels)
  writeFileSync(join(folder, 'labels'), Int32Array.from(labels))
  writeFileSync(join(folder, 'logits'), logits)
  for (let seed = 1; seed <= students; seed++) {
    const orders = Array.from({ length: epochs }, (_, epoch) => random(seed, 'shuffle', epoch).permutation(rows))
    writeFileSync(join(folder, `orders-${seed}`), Buffer.concat(orders.map((order) => Buffer.from(order.buffer))))
  }
  const source = await openSource(join(folder, 'train-images-idx3-ubyte'))
  const writer = await createTargets(join(folder, 'targets'), {
    classes,
    names: null,
    codec: 'f32',
    rowsPerShard: rows,
    rowsPerBatch: 1000,
    teacher: { file: 't.onnx', sha256: 'a'.repeat(64), opset: 18, output: 'y', logits: 'logits', producer: '' },
    source: { uri: source.uri, kind: 'idx', fingerprint: source.fingerprint, rows },
    preprocess: { version: 1 },
    runtime: { decant: '0', onnxruntime: '0', provider: 'cpu', precision: 'f32', batch: 128 },
    license: null,
  })
  await writer.beginShard(0)
  const ids = idColumn(Array.from({ length: rows }, (_, i) => `${i}`))
  await writer.append({ rows, ids, labels: Int32Array.from(labels), logits })
  await writer.endShard()
  await writer.finish({ created: new Date(0).toISOString() })
  await source.close()
}

interface Size {
  students: number
  epochs: number
}

/** One sweep in this process: seconds from the first student's first step to the end of the last, and the peak of the resident memory. */
async function sweepOnce(folder: string, jobs: number, { students, epochs }: Size): Promise<void> {
  const targets = await openTargets(join(folder, 'targets'))
  const source = await openSource(join(folder, 'train-images-idx3-ubyte'))
  let began = 0
  await sweep({
    targets,
    source,
    grid: { seed: Array.from({ length: students }, (_, i) => i + 1) },
    base: { student: 'mlp:128', epochs, holdout: 0 },
    engine: { name: 'onnx' },
    jobs,
    onEvent: (event) => {
      if (event.type === 'training' && event.event.type === 'start' && began === 0) began = performance.now()
    },
  })
  const seconds = (performance.now() - began) / 1000
  console.log(JSON.stringify({ seconds, peakMb: process.resourceUsage().maxRSS / 1024 }))
}

function inProcess(folder: string, jobs: number, { students, epochs }: Size): { seconds: number; peakMb: number } {
  const args = [...process.execArgv, here, 'once', folder, `${jobs}`, `${students}`, `${epochs}`]
  return JSON.parse(execFileSync(process.execPath, args, { encoding: 'utf8' }))
}

async function compare(rounds: number): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'decant-sweep-'))
  try {
    const [few, many] = [join(folder, 'few'), join(folder, 'many')]
    await writeData(few, 12_000)
    const found = { decant: [] as number[], PyTorch: [] as number[] }
    const script = join(here, '../sweep.py')
    for (let round = 0; round < rounds; round++) {
      found.decant.push(inProcess(few, 2, { students, epochs }).seconds)
      const output = execFileSync(process.env.DECANT_PYTHON ?? 'python3', [
        script,
        few,
        '2',
        `${epochs}`,
        `${students}`,
      ])
      found.PyTorch.push(Number(output))
    }
    const [ours, theirs] = [median(found.decant), median(found.PyTorch)]
    console.log(`${students} students of ${epochs} epochs: decant ${ours.toFixed(1)} s, 2 workers;`)
    console.log(`  PyTorch ${theirs.toFixed(1)} s, 2 threads: ${(theirs / ours).toFixed(2)} times the throughput`)
    await writeData(many, 300_000)
    for (const data of [few, many]) {
      const peaks = [1, 2].map(
        (jobs) => `${inProcess(data, jobs, { students: 2, epochs: 1 }).peakMb.toFixed(0)} MB with ${jobs}`,
      )
      console.log(
        `peak memory over ${data === few ? '12,000 rows (10 MB)' : '300,000 rows (247 MB)'}: ${peaks.join(', ')}`,
      )
    }
  } finally {
    rmSync(folder, { recursive: true })
  }
}

const [mode, folder, ...numbers] = process.argv.slice(2)
if (mode === 'once') {
  const [jobs, students, epochs] = numbers.map(Number) as [number, number, number]
  await sweepOnce(folder!, jobs, { students, epochs })
} else await compare(Number(mode ?? 3))
