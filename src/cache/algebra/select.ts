import { createHash } from 'node:crypto'
import { DecantError } from '../../errors.js'
import { codecOf } from '../codecs/codec.js'
import { viewsOf } from '../columns.js'
import { rowsIn } from '../layout.js'
import type { Manifest } from '../manifest.js'
import type { Chunk, DatasetPlace, Targets } from '../reader.js'
import type { Rows } from '../writer.js'
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
    const { kept, rows } = await chooseSamples(targets, options)
    if (rows === 0) throw new DecantError(`${targets.dir}: no row is as asked for`)
    const described = {
      ...(ids && { ids: ids.length, idsSha256: hash(ids) }),
      ...(labels && (labels.length <= MAX_LISTED ? { labels } : { labels: labels.length, labelsSha256: hash(labels) })),
      ...(confidence && { confidence }),
    }
    const plan = derivePlan(parents, { operation: 'select', options: described, rows })
    const { fidelity } = targets.manifest // the sample that was measured is the parent's
    return writeDerived(plan, { ...options, fidelity }, (from) => read(targets, kept, from))
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
    const sure = confidence && confidences(chunk, targets)
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
function confidences(chunk: Chunk, { classes, manifest: { codec, positions = 1 } }: Targets): Float64Array {
  const topOf = codecOf(codec).kind === 'dense' ? denseTop(chunk.logits, classes) : bucketTop(chunk)
  const result = new Float64Array(chunk.rows)
  for (let row = 0; row < chunk.rows; row++) {
    const length = chunk.columns.length?.[row] ?? positions
    for (let i = 0; i < length; i++) result[row]! += topOf(row * positions + i) / length
  }
  return result
}

/** Of a target its largest probability. */
type Top = (target: number) => number

function denseTop(logits: Float32Array, classes: number): Top {
  return (target) => {
    const z = logits.subarray(target * classes, (target + 1) * classes)
    let top = Number.NEGATIVE_INFINITY
    for (const value of z) if (value > top) top = value
    return 1 / sumExp(z, top)
  }
}

/** The classes that are kept, and what all others weigh together. A row's largest logit is its `shift`, whether its class was drawn or not. */
function bucketTop({ buckets: { k, logits, logTail }, columns }: Chunk): Top {
  const tails = logTail(1)
  return (target) => {
    const top = columns.shift![target]!
    return 1 / (sumExp(logits.subarray(target * k, (target + 1) * k), top) + Math.exp(tails[target]! - top))
  }
}

function sumExp(z: Float32Array, shift: number): number {
  let sum = 0
  for (const value of z) sum += Math.exp(value - shift)
  return sum
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
