import { HALF_MAX } from './half.js'

/** The largest of logits[from..to). */
export function topOf(logits: Float32Array, from: number, to: number): number {
  let top = logits[from]!
  for (let i = from + 1; i < to; i++) if (logits[i]! > top) top = logits[i]!
  return top
}

/** The class of each row's largest logit, int32 [n], of equal ones the first; of logits [n, classes]. */
export function topClasses(logits: Float32Array, classes: number): Int32Array {
  const tops = new Int32Array(logits.length / classes)
  for (let row = 0, from = 0; row < tops.length; row++, from += classes) {
    let top = from
    for (let i = from + 1; i < from + classes; i++) if (logits[i]! > logits[top]!) top = i
    tops[row] = top - from
  }
  return tops
}

/** The first class of each row whose word is 0, int32 [n]; of gaps [n, classes], of which each row's top has 0. */
export function firstZeros(gaps: Uint16Array | Uint8Array, classes: number): Int32Array {
  const tops = new Int32Array(gaps.length / classes)
  for (let row = 0, from = 0; row < tops.length; row++, from += classes) {
    let at = from
    const near = Math.min(from + 64, gaps.length)
    while (at < near && gaps[at] !== 0) at++ // to call indexOf takes as long as these steps
    tops[row] = (at < near ? at : gaps.indexOf(0, at)) - from
  }
  return tops
}

/** top - z of logits[from..to), each 0 to float16's largest number, in float32 as the fused graph subtracts. */
export function gapsOf(logits: Float32Array, from: number, to: number): { top: number; gaps: Float32Array } {
  const top = topOf(logits, from, to)
  const gaps = new Float32Array(to - from)
  for (let i = from; i < to; i++) {
    gaps[i - from] = Math.min(top - logits[i]!, HALF_MAX)
  }
  return { top, gaps }
}

/** Falling logits; of two that are equal the lower class first, as ONNX's TopK has it. */
export const byLogit =
  (z: ArrayLike<number>) =>
  (a: number, b: number): number =>
    z[b]! - z[a]! || a - b

/**
 * The k classes of the largest logits z, in falling order. A heap of k: n log k, where a full sort of 50,257 classes would be
 * most of a row's cost.
 */
export function largest(z: ArrayLike<number>, k: number): Int32Array {
  const heap = new Int32Array(k)
  if (k === 0) return heap
  const order = byLogit(z)
  const sink = (from: number) => {
    for (let at = from; ; ) {
      let last = at
      for (const child of [2 * at + 1, 2 * at + 2]) if (child < k && order(heap[child]!, heap[last]!) > 0) last = child
      if (last === at) return
      const held = heap[at]!
      heap[at] = heap[last]!
      heap[last] = held
      at = last
    }
  }
  for (let c = 0; c < k; c++) heap[c] = c
  for (let i = (k >> 1) - 1; i >= 0; i--) sink(i)
  let least = z[heap[0]!]!
  for (let c = k; c < z.length; c++) {
    if (z[c]! <= least) continue // an equal one has the higher class
    heap[0] = c
    sink(0)
    least = z[heap[0]!]!
  }
  return heap.sort(order)
}

/** To the nearest integer, ties to even, as ONNX's Round. */
export function roundEven(x: number): number {
  const below = Math.floor(x)
  const rest = x - below
  if (rest !== 0.5) return rest < 0.5 ? below : below + 1
  return below % 2 === 0 ? below : below + 1
}
