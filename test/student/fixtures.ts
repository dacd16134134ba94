import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll } from 'vitest'
import { createTargets, idColumn, openTargets, type Targets } from '../../src/cache/index.js'
import { random } from '../../src/random.js'
import { openSource, type Source } from '../../src/source/index.js'
import { type Dataset, loadDataset } from '../../src/student/dataset.js'
import { idx } from '../source/fixtures.js'

// Noisy 6×6 images of a bright row: class 0 above, 1 in the middle, 2 below. The teacher knows, and finds neighbours alike.

export const CLASSES = 3
const SIDE = 6

export const labelOf = (row: number) => row % CLASSES

export function pixelsOf(row: number): Uint8Array {
  const { below } = random('image', row)
  const bright = 2 * labelOf(row) + below(2)
  return Uint8Array.from({ length: SIDE * SIDE }, (_, i) => below(120) + (Math.floor(i / SIDE) === bright ? 90 : 0))
}

export function logitsOf(row: number): number[] {
  const { normal } = random('teacher', row)
  return Array.from({ length: CLASSES }, (_, c) => Math.fround(-3 * Math.abs(c - labelOf(row)) + 0.3 * normal()))
}

const folders: string[] = []
const opened: { close(): Promise<void> }[] = []
afterAll(async () => {
  for (const one of opened) await one.close()
  for (const folder of folders) await rm(folder, { recursive: true, force: true })
})

/** A folder that goes when the test file ends. */
export async function temporaryFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'decant-student-'))
  folders.push(folder)
  return folder
}

export interface Example {
  dir: string
  targets: Targets
  source: Source
  dataset: Dataset
}

/** Writes `rows` of them as IDX files and as soft targets, and opens both. Every `unlabelled`-th row has no label. */
export async function makeExample(rows: number, { unlabelled = 0 } = {}): Promise<Example> {
  const dir = await temporaryFolder()
  const index = Array.from({ length: rows }, (_, i) => i)
  await writeFile(join(dir, 'train-images-idx3-ubyte'), idx([rows, SIDE, SIDE], Buffer.concat(index.map(pixelsOf))))
  await writeFile(join(dir, 'train-labels-idx1-ubyte'), idx([rows], Uint8Array.from(index, labelOf)))
  const source = await openSource(join(dir, 'train-images-idx3-ubyte'))
  const writer = await createTargets(join(dir, 'targets'), {
    classes: CLASSES,
    names: ['above', 'middle', 'below'],
    codec: 'f32',
    rowsPerShard: 100_000,
    rowsPerBatch: 1000,
    teacher: { file: 't.onnx', sha256: 'a'.repeat(64), opset: 18, output: 'y', logits: 'logits', producer: '' },
    source: { uri: source.uri, kind: 'idx', fingerprint: source.fingerprint, rows },
    preprocess: { version: 1, mean: [0.3], std: [0.2] },
    runtime: { decant: '0', onnxruntime: '0', provider: 'cpu', precision: 'f32', batch: 8 },
    license: null,
  })
  await writer.beginShard(0)
  await writer.append({
    rows,
    ids: idColumn(index.map(String)),
    labels: Int32Array.from(index, (row) => (unlabelled > 0 && row % unlabelled === 0 ? -1 : labelOf(row))),
    logits: Float32Array.from(index.flatMap(logitsOf)),
  })
  await writer.endShard()
  await writer.finish({ created: '2025-01-01T00:00:00.000Z' })
  const targets = await openTargets(join(dir, 'targets'))
  opened.push(targets, source)
  return { dir, targets, source, dataset: await loadDataset({ targets, source }) }
}
