import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createTargets, idColumn, type Plan, type Rows } from '../../src/cache/index.js'
import { encodeModel, GraphBuilder } from '../../src/onnx/graph-builder.js'
import { random } from '../../src/random.js'
import type { PageBundle } from '../../src/viewer/bundle.js'
import { makePlan } from '../cache/datasets.js'

// Pictures of 4×4 bytes in six classes; the teacher finds c and c ± 3 alike. All of row i is a function of i.

export const CLASSES = 6
export const SIDE = 4
export const NAMES = ['cat', 'dog', 'car', 'lynx', 'wolf', '</script><script>alert(1)</script>']

/** Every fifth row has no label. */
export const labelOf = (row: number) => (row % 5 === 4 ? -1 : (row * 7) % CLASSES)

export function logitsOf(row: number): number[] {
  const { normal } = random('viewer', row)
  const own = (row * 7) % CLASSES
  return Array.from({ length: CLASSES }, (_, c) => {
    const near = c === own ? 3 : (c + 3) % CLASSES === own ? 1.5 : 0
    return Math.fround(near + 1.5 * normal())
  })
}

export function pixelsOf(row: number): Uint8Array {
  const { below } = random('viewer pixels', row)
  return Uint8Array.from({ length: SIDE * SIDE }, () => below(256))
}

export const rowsOf = (rows: number) => Array.from({ length: rows }, (_, row) => row)

export async function writeDataset(
  dir: string,
  changes: Partial<Plan> & { rows: number } & Partial<Omit<Rows, 'rows'>>,
) {
  const { rows, columns, labels, ids, logits, skipped, ...rest } = changes
  const index = rowsOf(rows)
  const plan = makePlan({
    rows,
    classes: CLASSES,
    names: NAMES,
    rowsPerShard: rows,
    rowsPerBatch: 64,
    preprocess: { version: 1, mean: [0.5], std: [0.25] },
    ...rest,
  })
  const writer = await createTargets(dir, plan)
  await writer.beginShard(0)
  await writer.append({
    rows,
    ids: ids ?? idColumn(index.map((row) => `row-${row}`)),
    labels: labels ?? Int32Array.from(index, labelOf),
    logits: logits ?? Float32Array.from(index.flatMap(logitsOf)),
    ...(skipped && { skipped }),
    columns: columns ?? (plan.inputs ? { input: Uint8Array.from(index.flatMap((row) => [...pixelsOf(row)])) } : {}),
  })
  await writer.endShard()
  return writer.finish({ created: '2025-01-01T00:00:00.000Z' })
}

export const storedPictures = { kind: 'image' as const, shape: [SIDE, SIDE, 1] }

/** Weights of a student that is one layer: logits = ((pixel/255 - 0.5)/0.25) · W. */
export function studentWeights(): number[] {
  const { normal } = random('viewer student')
  return Array.from({ length: SIDE * SIDE * CLASSES }, () => Math.fround(normal()))
}

export function studentLogits(row: number): number[] {
  const weights = studentWeights()
  const x = Array.from(pixelsOf(row), (byte) => (byte / 255 - 0.5) / 0.25)
  return Array.from({ length: CLASSES }, (_, c) =>
    x.reduce((sum, value, i) => sum + value * weights[i * CLASSES + c]!, 0),
  )
}

const unknown = { top5: null, nll: null, ece: null, brier: null, aurc: null, reliability: null, perClass: null }
const measures = { rows: 1, labelled: 1, agreement: 1, kl: 0, ...unknown }

/** A finished student's folder, as `decant train` leaves it. */
export async function writeStudent(dir: string, accuracy: number | null = null): Promise<void> {
  const graph = new GraphBuilder()
  const input = graph.input('input', 'float32', ['N', SIDE, SIDE, 1])
  const flat = graph.node('Reshape', [input, graph.i64([-1, SIDE * SIDE])])
  const weights = graph.f32(Float32Array.from(studentWeights()), [SIDE * SIDE, CLASSES])
  graph.node('MatMul', [flat, weights], {}, { outputs: ['logits'] })
  graph.output('logits', 'float32', ['N', CLASSES])
  const config = { student: 'linear', method: 'kd', temperature: 4, alpha: 0.9, parameters: {}, seed: 1 }
  const write = (file: string, value: unknown) => writeFile(join(dir, file), JSON.stringify(value))
  await writeFile(join(dir, 'student.onnx'), encodeModel(graph.model({ name: 'student' })))
  await write('preprocess.json', { version: 1, mean: [0.5], std: [0.25], layout: 'NHWC' })
  await write('metrics.json', {
    measuredOn: accuracy === null ? 'nothing' : 'evaluation',
    metrics: accuracy === null ? null : { ...measures, accuracy },
    history: [{ epoch: 1, loss: 0.5, accuracy: 0.75 }],
  })
  await write('student.json', {
    format: 'decant-student',
    version: 1,
    provenance: { config },
    classes: CLASSES,
    names: NAMES,
    input: storedPictures,
    parameters: 96,
    seconds: 1,
  })
}

export function softmax(z: readonly number[], temperature: number): number[] {
  const top = Math.max(...z)
  const e = z.map((value) => Math.exp((value - top) / temperature))
  const sum = e.reduce((a, b) => a + b, 0)
  return e.map((value) => value / sum)
}

export const argmax = (z: readonly number[]): number => z.indexOf(Math.max(...z))
export const mean = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0) / values.length

export const bundle: PageBundle = {
  html: '<html><head><meta charset="utf-8"><link rel="stylesheet" href="page.css"></head><body><script type="module" src="page.js"></script></body></html>',
  js: 'console.log(1)',
  css: 'body{}',
}
