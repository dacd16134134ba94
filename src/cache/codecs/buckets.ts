import { DecantError } from '../../errors.js'
import type { Column, Columns } from '../columns.js'
import type { Buckets, TargetKind, TargetRows } from './codec.js'
import { decodeHalves } from './decode-halves.js'
import { HALF_MAX, HALF_NAN, halfOf, halfOfGap, halfValues } from './half.js'
import { MASKED_GAP, raiseMasked } from './masked.js'
import { topOf } from './rows.js'
import { decodeTail, encodeTail, TAIL_NODES } from './tail.js'

// What topk and sampled share: k classes exactly, and the statistics of the others.

/** Up to so many classes an index takes two bytes. */
const MAX_SHORT = 2 ** 16

/** Classes in the head: at least one is left for the tail, which is then that class. */
export function headOf(k: number, classes: number): number {
  if (classes < 2) throw new DecantError(`a top-k or sampled codec keeps some of several classes, found ${classes}`)
  return Math.min(k, classes - 1)
}

export function bucketColumns(k: number, { classes, labelled }: TargetKind): Column[] {
  const width = headOf(k, classes)
  const scalar = (name: string, type: 'float16' | 'float32'): Column => ({ name, type, width: 1, list: false })
  return [
    { name: 'index', type: classes <= MAX_SHORT ? 'uint16' : 'int32', width, list: true, below: classes },
    { name: 'logits', type: 'float16', width, list: true },
    scalar('shift', 'float32'),
    ...(labelled ? [scalar('label_logit', 'float16')] : []),
    scalar('mean', 'float16'),
    scalar('std', 'float16'),
    scalar('tail_top', 'float32'),
    { name: 'tail', type: 'float16', width: TAIL_NODES - 1, list: true },
  ]
}

/** `choose` gives the classes of a row's head, distinct and in the order of their slots, from its logits z [C]. */
export function encodeBuckets(rows: TargetRows, choose: (z: Float32Array, row: number) => Int32Array): Columns {
  const { classes, labels } = rows
  const logits = raiseMasked(rows.logits, classes)
  const n = logits.length / classes
  const heads: Int32Array[] = []
  const [shift, tailTop] = [new Float32Array(n), new Float32Array(n)]
  const [labelLogit, mean, std] = [new Uint16Array(n), new Uint16Array(n), new Uint16Array(n)]
  const tail = new Uint16Array(n * (TAIL_NODES - 1))
  for (let row = 0; row < n; row++) {
    const z = logits.subarray(row * classes, (row + 1) * classes)
    const top = topOf(z, 0, classes)
    const chosen = choose(z, row)
    heads.push(chosen)
    const encoded = encodeTail(tailGaps(z, chosen, top))
    const moments = momentsOf(z, top)
    const label = labels ? labels[row]! : -1
    shift[row] = top
    labelLogit[row] = label < 0 ? HALF_NAN : halfOfGap(z[label]! - top)
    mean[row] = halfOfGap(moments.mean)
    std[row] = halfOf(Math.min(moments.std, HALF_MAX))
    tailTop[row] = encoded.top
    tail.set(encoded.rest, row * (TAIL_NODES - 1))
  }
  const width = heads[0]?.length ?? 0
  const index = classes <= MAX_SHORT ? new Uint16Array(n * width) : new Int32Array(n * width)
  const head = new Uint16Array(n * width)
  heads.forEach((chosen, row) => {
    index.set(chosen, row * width)
    chosen.forEach((c, slot) => {
      head[row * width + slot] = halfOfGap(logits[row * classes + c]! - shift[row]!)
    })
  })
  return {
    index,
    logits: head,
    shift,
    ...(labels && { label_logit: labelLogit }),
    mean,
    std,
    tail_top: tailTop,
    tail,
  }
}

export function decodeBuckets(columns: Columns, { k, classes }: TargetKind & { k: number }): Buckets {
  const shift = columns.shift as Float32Array
  const width = headOf(k, classes)
  const raw = (name: string, width: number): Float32Array =>
    decodeHalves({ halves: columns[name] as Uint16Array, shift, width })
  const tail = { shift, tailTop: columns.tail_top as Float32Array, tail: columns.tail as Uint16Array }
  return {
    rows: shift.length,
    k: width,
    index: Int32Array.from(columns.index!),
    logits: raw('logits', width),
    top: shift,
    labelLogit: columns.label_logit && raw('label_logit', 1),
    mean: raw('mean', 1),
    std: Float32Array.from(columns.std!, (half) => halfValues[half]!),
    logTail: (temperature) => decodeTail(tail, { classes: classes - width, temperature }),
  }
}

/** z - top of the classes that are not chosen. */
function tailGaps(z: Float32Array, chosen: Int32Array, top: number): Float64Array {
  const isHead = new Uint8Array(z.length)
  for (const c of chosen) isHead[c] = 1
  const gaps = new Float64Array(z.length - chosen.length)
  for (let c = 0, at = 0; c < z.length; c++) if (!isHead[c]) gaps[at++] = z[c]! - top
  return gaps
}

/**
 * Mean of z - top over the n classes that are not masked, and their standard deviation such that methods that divide by n - 1 take √(C/(C - 1)) of it: where no
 * class is masked, that over all C.
 */
function momentsOf(z: Float32Array, top: number): { mean: number; std: number } {
  const present = z.filter((value) => top - value < MASKED_GAP)
  const [n, classes] = [present.length, z.length]
  let mean = 0
  for (const value of present) mean += (value - top) / n
  let squares = 0
  for (const value of present) squares += (value - top - mean) ** 2
  const share = n === classes ? 1 / classes : (classes - 1) / classes / Math.max(1, n - 1)
  return { mean, std: Math.sqrt(squares * share) }
}
