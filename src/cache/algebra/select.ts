import { createHash } from 'node:crypto'
import { DecantError } from '../../errors.js'
import { viewsOf } from '../columns.js'
import { rowsIn } from '../layout.js'
import type { Manifest } from '../manifest.js'
import type { Chunk, DatasetPlace, Targets } from '../reader.js'
import type { Rows } from '../writer.js'
import { checkDense } from './convert.js'
import { type DeriveOptions, derivePlan, pickRows, withParents, writeDerived } from './derive.js'

/** Rows for which all that is given holds. */
export interface SelectOptions extends DeriveOptions {
  ids?: string[]
  labels?: number[]
  /** The teacher's largest probability at T = 1 is from `from` to `to`; of several views, their mean. */
  confidence?: { from: number; to: number }
}

/**
 * Keeps some rows of a dataset, in their order; of a sample all views or none. Reads it twice: to choose, and to copy.
 * @throws DecantError where nothing is asked for or nothing holds, or where an id is not there
 */
export async function selectTargets(place: DatasetPlace, options: SelectOptions): Promise<Manifest> {
  const { ids, labels, confidence } = options
  if (!ids && !labels && !confidence) throw new DecantError('select: expected ids, labels or a confidence to select by')
  return withParents([place], async (parents) => {
    const { targets } = parents[0]!
    if (confidence) checkDense(targets, 'selected from by confidence')
    const { kept, rows } = await chooseSamples(targets, options)
    if (rows === 0) throw new DecantError(`${targets.dir}: no row is as asked for`)
    const described = {
      ...(ids && { ids: ids.length, idsSha256: hash(ids) }),
      ...(labels && (labels.length <= MAX_LISTED ? { labels } : { labels: labels.length, labelsSha256: hash(labels) })),
      ...(confidence && { confidence }),
    }
    const plan = derivePlan(parents, { operation: 'select', options: described, rows })
    return writeDerived(plan, options, (from) => read(targets, kept, from))
  })
}

/** More labels than this are named by their hash: a plan's settings have little room. */
const MAX_LISTED = 1000

const hash = (values: (string | number)[]) => createHash('sha256').update(values.join('\n')).digest('hex')

/** A bit a sample: 125 MB for 10⁹ of them. */
type Bits = Uint8Array

async function chooseSamples(targets: Targets, options: SelectOptions): Promise<{ kept: Bits; rows: number }> {
  const { labels, confidence, signal } = options
  const views = viewsOf(targets.manifest)
  const wanted = options.ids && new Set(options.ids)
  const missing = new Set(options.ids)
  const classes = labels && new Set(labels)
  const kept = new Uint8Array(Math.ceil(targets.rows / views / 8))
  let rows = 0
  for await (const chunk of targets.chunks({
    rows: window(targets),
    verify: true,
    reuse: true,
    ...(signal && { signal }),
  })) {
    const sure = confidence && confidences(chunk, targets.classes)
    for (let row = 0; row < chunk.rows; row += views) {
      if (wanted) {
        const id = chunk.idAt(row)
        missing.delete(id)
        if (!wanted.has(id)) continue
      }
      if (classes && !classes.has(chunk.labels[row]!)) continue
      if (sure) {
        const mean = sure.subarray(row, row + views).reduce((sum, p) => sum + p, 0) / views
        if (!(mean >= confidence.from && mean <= confidence.to)) continue
      }
      const sample = (chunk.first + row) / views
      kept[sample >> 3]! |= 1 << (sample & 7)
      rows += views
    }
  }
  const [some] = missing
  if (some !== undefined)
    throw new DecantError(`${targets.dir}: ${missing.size} of ${wanted!.size} ids are not there, '${some}' among them`)
  return { kept, rows }
}

/** Rows of about 4 MiB, all views of each sample in one chunk. */
function window({ manifest }: Targets): number {
  const views = viewsOf(manifest)
  return views * Math.max(1, Math.floor(rowsIn(4 * 2 ** 20, manifest) / views))
}

/** [n] the largest probability of each row at T = 1; of a sequence the mean over its positions. */
function confidences(chunk: Chunk, classes: number): Float64Array {
  const { logits, rows } = chunk
  const positions = logits.length / rows / classes
  const result = new Float64Array(rows)
  for (let at = 0, target = 0; at < logits.length; at += classes, target++) {
    let top = Number.NEGATIVE_INFINITY
    for (let i = at; i < at + classes; i++) if (logits[i]! > top) top = logits[i]!
    let sum = 0
    for (let i = at; i < at + classes; i++) sum += Math.exp(logits[i]! - top)
    const row = Math.floor(target / positions)
    const length = chunk.columns.length?.[row] ?? positions
    if (target - row * positions < length) result[row]! += 1 / sum / length
  }
  return result
}

/** The kept rows from the `from`-th on. Windows of the dataset without any are not read. */
async function* read(targets: Targets, kept: Bits, from: number): AsyncGenerator<Rows> {
  const { manifest } = targets
  const views = viewsOf(manifest)
  const size = window(targets)
  let skipped = from === 0 ? manifest.source.skipped : []
  let before = 0
  for (let first = 0; first < targets.rows; first += size) {
    const picked: number[] = []
    const end = Math.min(first + size, targets.rows)
    for (let row = first; row < end; row++) {
      const sample = Math.floor(row / views)
      if ((kept[sample >> 3]! >> (sample & 7)) & 1 && before++ >= from) picked.push(row - first)
    }
    if (picked.length === 0) continue
    for await (const chunk of targets.chunks({ from: first, to: end, rows: size })) {
      yield { ...pickRows(chunk, picked), skipped }
      skipped = []
    }
  }
}
