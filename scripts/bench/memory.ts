/**
 * Peak memory of an export of 1,000,000 synthetic rows × 1000 classes against that of 100,000 rows. Each export runs in a
 * process of its own; needs about 5 GB of disk.
 *
 *     npx tsx scripts/bench/memory.ts
 */
import { execFileSync } from 'node:child_process'
import { closeSync, mkdtempSync, openSync, rmSync, writeFileSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { encodeModel, GraphBuilder } from '../../src/onnx/index.js'
import { random } from '../../src/random.js'
import { openSource } from '../../src/source/index.js'
import { exportTargets } from '../../src/teacher/index.js'

const side = 8
const classes = 1000

async function exportOnce(folder: string, rows: number) {
  const source = await openSource(join(folder, `${rows}-images-idx3-ubyte`))
  const started = performance.now()
  await exportTargets({
    source,
    teacher: join(folder, 'teacher.onnx'),
    out: join(folder, `targets-${rows}`),
    codec: 'f32',
    batch: 256,
    provider: 'cpu',
  })
  const seconds = (performance.now() - started) / 1000
  console.log(JSON.stringify({ rows, peakMb: process.resourceUsage().maxRSS / 1024, seconds }))
}

function writeInputs(folder: string, rows: number) {
  const file = openSync(join(folder, `${rows}-images-idx3-ubyte`), 'w')
  const header = Buffer.from([0, 0, 8, 3, 0, 0, 0, 0, 0, 0, 0, side, 0, 0, 0, side])
  header.writeUInt32BE(rows, 4)
  writeSync(file, header)
  const stream = random('memory', rows)
  const block = Buffer.from(Uint8Array.from({ length: 10_000 * side * side }, () => stream.uint32() & 255))
  for (let row = 0; row < rows; row += 10_000) writeSync(file, block)
  closeSync(file)
}

if (process.argv[2] === 'child') {
  await exportOnce(process.argv[3]!, Number(process.argv[4]))
} else {
  const folder = mkdtempSync(join(tmpdir(), 'decant-memory-'))
  try {
    const graph = new GraphBuilder()
    const stream = random('weights')
    const flat = graph.node('Reshape', [
      graph.input('image', 'float32', ['N', 1, side, side]),
      graph.i64([-1, side * side]),
    ])
    const weights = graph.f32(
      Float32Array.from({ length: side * side * classes }, () => stream.normal()),
      [side * side, classes],
    )
    graph.output('logits', 'float32', ['N', classes], graph.node('MatMul', [flat, weights]))
    writeFileSync(join(folder, 'teacher.onnx'), encodeModel(graph.model({ name: 'linear' })))
    const peaks = [100_000, 1_000_000].map((rows) => {
      writeInputs(folder, rows)
      const printed = execFileSync(
        process.execPath,
        ['--import', 'tsx', fileURLToPath(import.meta.url), 'child', folder, String(rows)],
        { encoding: 'utf8' },
      )
      const result = JSON.parse(printed) as { rows: number; peakMb: number; seconds: number }
      console.log(
        `${rows.toLocaleString('en-US')} rows × ${classes} classes: peak ${Math.round(result.peakMb)} MB, ${result.seconds.toFixed(1)} s`,
      )
      rmSync(join(folder, `targets-${rows}`), { recursive: true })
      return result.peakMb
    })
    console.log(`ratio ${(peaks[1]! / peaks[0]!).toFixed(3)}`)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}
