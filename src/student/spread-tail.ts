import type { KnownClasses } from './metrics.js'

/**
 * Logits of all classes at temperature T (softmax of them gives the soft targets) where only some are known: the others share evenly what
 * they have together. What is measured of the known classes is exact with these.
 * @param options.labels int32 [n], -1 = none. With them what is measured of labels is exact, too: the label has its own logit where that is kept, and where no
 * known class has the row's top logit, some other class has it, whichever: nobody knows which, but the label is not it.
 * @returns for a row its logits / T, [C]; valid until the next call
 */
export function spreadTail(
  known: KnownClasses,
  options: { classes: number; temperature: number; labels?: Int32Array },
): (row: number) => Float32Array {
  const { classes, temperature, labels } = options
  const { k, index, logits, labelLogit } = known
  const logTail = known.logTail(temperature)
  const all = new Float32Array(classes)
  return (row) => {
    const own = index.subarray(row * k, (row + 1) * k)
    const label = labels?.[row] ?? -1
    const ofLabel = label >= 0 && !own.includes(label) ? (labelLogit?.[row] ?? Number.NaN) / temperature : Number.NaN
    const apart = new Map(Number.isNaN(ofLabel) ? [] : [[label, ofLabel]])
    const top = known.top[row]! / temperature
    if (label >= 0 && logits[row * k]! < known.top[row]! && !(ofLabel >= top)) apart.set(someOther(own, label), top)
    let rest = logTail[row]!
    for (const z of apart.values()) rest += Math.log1p(-Math.min(1, Math.exp(z - rest)))
    all.fill(rest - Math.log(Math.max(1, classes - k - apart.size)))
    for (let i = 0; i < k; i++) all[own[i]!] = logits[row * k + i]! / temperature
    for (const [c, z] of apart) all[c] = z
    return all
  }
}

/** The first class that is neither the label nor known. */
function someOther(own: Int32Array, label: number): number {
  let c = 0
  while (c === label || own.includes(c)) c++
  return c
}
