import { InterruptedError } from '../../errors.js'
import { type Columns, columnsOf, targetColumns, viewsOf } from '../columns.js'
import type { IdColumn } from '../ids.js'
import { type Derived, type Fidelity, type Manifest, type Plan, planOf } from '../manifest.js'
import { type Chunk, type DatasetPlace, openTargets, type Targets } from '../reader.js'
import { createTargets, type Rows } from '../writer.js'

// What merge, convert, select and ensemble have in common: a plan that says what they were made of, and the writer, with
// journal, resume and lock, that an export has.

export interface DeriveOptions {
  /** Folder of the new dataset: new, or one that the same call left unfinished. */
  out: string
  onProgress?: (done: { rows: number; total: number; shards: number }) => void
  /** Aborting finishes the shard in hand, then throws InterruptedError. */
  signal?: AbortSignal
}

/** A dataset that another is made of. */
export interface Parent {
  targets: Targets
  /** SHA-256 of its manifest.json */
  sha256: string
}

/** What a plan needs of one. */
export interface Described {
  targets: Pick<Targets, 'manifest'>
  sha256: string
}

/** Opens datasets for as long as `work` takes. */
export async function withParents<T>(places: DatasetPlace[], work: (parents: Parent[]) => Promise<T>): Promise<T> {
  const parents: Parent[] = []
  try {
    for (const place of places) {
      const targets = await openTargets(place)
      parents.push({ targets, sha256: targets.manifestSha256 })
    }
    return await work(parents)
  } finally {
    await Promise.all(parents.map(({ targets }) => targets.close()))
  }
}

type Operation = Pick<Derived, 'operation' | 'options' | 'rows'>

/** The plan of a dataset that is made of `parents`: the first one's, `changes` aside, with the chain of all of them. */
export function derivePlan(parents: Described[], operation: Operation, changes: Partial<Plan> = {}): Plan {
  const { derived: _, ...plan } = planOf(parents[0]!.targets.manifest)
  const from = parents.map(({ sha256 }) => sha256)
  return { ...plan, ...changes, derived: { ...operation, from, ancestors: ancestorsOf(parents) } }
}

/** The parents, then theirs, each once. */
function ancestorsOf(parents: Described[]): Derived['ancestors'] {
  const own = parents.map(({ targets: { manifest }, sha256 }) => ({
    manifest: sha256,
    rows: manifest.rows,
    codec: manifest.codec,
    teacher: manifest.teacher.sha256,
    ...(manifest.source.range && { range: manifest.source.range }),
    ...(manifest.derived && { derived: operationOf(manifest.derived) }),
  }))
  const all = [...own, ...parents.flatMap(({ targets }) => targets.manifest.derived?.ancestors ?? [])]
  return [...new Map(all.map((ancestor) => [ancestor.manifest, ancestor])).values()]
}

const operationOf = ({ operation, options, from }: Derived) => ({ operation, options, from })

/**
 * Writes a derived dataset. `read` gives its rows from one on, in order, in parts of any size.
 * @throws what `createTargets` throws; InterruptedError: the same call goes on
 */
export async function writeDerived(
  plan: Plan,
  { out, onProgress, signal, fidelity }: DeriveOptions & { fidelity?: Fidelity | undefined },
  read: (from: number) => AsyncIterable<Rows>,
): Promise<Manifest> {
  const total = plan.derived!.rows
  const perShard = plan.rowsPerShard * viewsOf(plan)
  const writer = await createTargets(out, plan)
  try {
    let shard = writer.finishedShards
    let row = shard * perShard
    if (!writer.done && row < total) {
      await writer.beginShard(shard)
      for await (const part of read(row)) {
        for (let at = 0; at < part.rows; ) {
          const end = Math.min((shard + 1) * perShard, total)
          const take = Math.min(part.rows - at, end - row)
          const rows = at === 0 && take === part.rows ? part : sliceRows(part, at, at + take)
          await writer.append({ ...rows, skipped: at === 0 ? (part.skipped ?? []) : [] })
          at += take
          row += take
          if (row < end) continue
          await writer.endShard()
          shard++
          onProgress?.({ rows: row, total, shards: shard })
          if (row === total) break
          if (signal?.aborted) stop(out, row, total)
          await writer.beginShard(shard)
        }
      }
    }
    return await writer.finish({ created: new Date().toISOString(), fidelity })
  } catch (error) {
    await writer.withdraw()
    throw error
  } finally {
    await writer.close()
  }
}

function stop(out: string, row: number, total: number): never {
  throw new InterruptedError(
    `stopped: the first ${row} of ${total} rows are safe in ${out}; run the same command again to go on`,
  )
}

/** Rows [from, to) of some rows: views of the same arrays. */
function sliceRows(rows: Rows, from: number, to: number): Rows {
  const cut = <T extends Columns[string]>(values: T): T => {
    const width = values.length / rows.rows
    return values.subarray(from * width, to * width) as T
  }
  const { offsets, bytes } = rows.ids
  const base = offsets[from]!
  return {
    rows: to - from,
    ids: {
      offsets: offsets.slice(from, to + 1).map((offset) => offset - base),
      bytes: bytes.subarray(base, offsets[to]!),
    },
    labels: cut(rows.labels),
    logits: rows.logits && cut(rows.logits),
    columns: rows.columns && mapColumns(rows.columns, cut),
  }
}

/** The rows of a chunk at `picked` indices, copied. */
export function pickRows(chunk: Chunk, picked: ArrayLike<number>): Rows {
  const pick = <T extends Columns[string]>(values: T): T => {
    const width = values.length / chunk.rows
    const out = new (values.constructor as new (length: number) => T)(picked.length * width)
    for (let i = 0; i < picked.length; i++)
      out.set(values.subarray(picked[i]! * width, (picked[i]! + 1) * width), i * width)
    return out
  }
  return {
    rows: picked.length,
    ids: pickIds(chunk.idColumn, picked),
    labels: pick(chunk.labels),
    columns: mapColumns(chunk.columns, pick),
  }
}

function pickIds({ offsets, bytes }: IdColumn, picked: ArrayLike<number>): IdColumn {
  const out = new Int32Array(picked.length + 1)
  for (let i = 0; i < picked.length; i++) out[i + 1] = out[i]! + offsets[picked[i]! + 1]! - offsets[picked[i]!]!
  const text = new Uint8Array(out.at(-1)!)
  for (let i = 0; i < picked.length; i++)
    text.set(bytes.subarray(offsets[picked[i]!]!, offsets[picked[i]! + 1]!), out[i]!)
  return { offsets: out, bytes: text }
}

const mapColumns = (columns: Columns, map: <T extends Columns[string]>(values: T) => T): Columns =>
  Object.fromEntries(Object.entries(columns).map(([name, values]) => [name, map(values)]))

/** A chunk's rows as they lie. */
export const rowsOf = ({ rows, idColumn, labels, columns }: Chunk): Rows => ({ rows, ids: idColumn, labels, columns })

/** A chunk's rows with other logits, which the writer's codec encodes; the columns beside the targets stay. */
export function rowsWithLogits(chunk: Chunk, logits: Float32Array, manifest: Manifest): Rows {
  const targets = new Set(targetColumns(manifest).map(({ name }) => name))
  const beside = columnsOf(manifest).filter(({ name }) => !targets.has(name))
  const columns = Object.fromEntries(beside.map(({ name }) => [name, chunk.columns[name]!]))
  return { ...rowsOf(chunk), logits, columns }
}
