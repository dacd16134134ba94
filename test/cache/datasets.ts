import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import {
  type CodecName,
  createTargets,
  idColumn,
  type Manifest,
  type Plan,
  type Rows,
  type TargetsWriter,
} from '../../src/cache/index.js'
import { random } from '../../src/random.js'

// Synthetic exports: row i of a plan is a pure function of i, so any part of it can be made again.

export const CREATED = '2025-01-01T00:00:00.000Z'

export function makePlan(changes: Partial<Plan> & { rows?: number } = {}): Plan {
  const { rows = 100, ...rest } = changes
  return {
    classes: 3,
    names: null,
    codec: 'f32' as CodecName,
    rowsPerShard: 40,
    rowsPerBatch: 16,
    teacher: {
      file: 'teacher.onnx',
      sha256: 'a'.repeat(64),
      opset: 18,
      output: 'logits',
      logits: 'logits',
      producer: 'pytorch',
    },
    source: { uri: 'data', kind: 'idx', fingerprint: 'b'.repeat(64), rows },
    preprocess: { version: 1, mean: [0.5], std: [0.25] },
    runtime: { decant: '0.1.0', onnxruntime: '1.30.0', provider: 'cpu', precision: 'f32', batch: 8 },
    license: 'mit',
    ...rest,
  }
}

export const idOf = (row: number) => `row/${row}${row % 7 === 0 ? '-ü' : ''}`
/** Every fifth row has no label. */
export const labelOf = (row: number, classes: number) => (row % 5 === 4 ? -1 : row % classes)

export function logitsOf(row: number, classes: number): number[] {
  const { normal } = random('logits', row)
  return Array.from({ length: classes }, () => Math.fround(normal() * 5))
}

export function makeRows(plan: Plan, from: number, to: number): Rows & { logits: Float32Array } {
  const index = Array.from({ length: to - from }, (_, i) => from + i)
  return {
    rows: index.length,
    ids: idColumn(index.map(idOf)),
    labels: Int32Array.from(index, (row) => labelOf(row, plan.classes)),
    logits: Float32Array.from(index.flatMap((row) => logitsOf(row, plan.classes))),
  }
}

/** Writes what is still missing of a plan, `chunk` rows an append. */
export async function exportRows(writer: TargetsWriter, plan: Plan, chunk = 7): Promise<Manifest> {
  const shards = Math.ceil(plan.source.rows / plan.rowsPerShard)
  for (let shard = writer.finishedShards; shard < shards; shard++) {
    await writer.beginShard(shard)
    const end = Math.min(plan.source.rows, (shard + 1) * plan.rowsPerShard)
    for (let from = shard * plan.rowsPerShard; from < end; from += chunk)
      await writer.append(makeRows(plan, from, Math.min(end, from + chunk)))
    await writer.endShard()
  }
  return writer.finish({ created: CREATED })
}

export async function writeTargets(dir: string, plan: Plan, chunk?: number): Promise<Manifest> {
  return exportRows(await createTargets(dir, plan), plan, chunk)
}

/** Every file under a folder, by its path within. */
export async function readFolder(dir: string): Promise<Map<string, Buffer>> {
  const entries = await readdir(dir, { recursive: true, withFileTypes: true })
  const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name))
  const contents = await Promise.all(
    files.sort().map(async (file) => [file.slice(dir.length + 1), await readFile(file)] as const),
  )
  return new Map(contents)
}
