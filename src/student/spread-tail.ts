import type { KnownClasses } from './metrics.js'

/**
 * Logits of all classes at temperature T (softmax of them gives the soft targets) where only some are known: the others share evenly what
 * they have together, the label aside where its own is kept. What is measured of the known classes and of the label is exact with these.
 * @param options.labels int32 [n], -1 = none
 * @returns for a row its logits / T, [C]; valid until the next call
 */
export function spreadTail(
  known: KnownClasses & { labelLogit?: Float32Array | undefined },
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
    const apart = !Number.isNaN(ofLabel)
    const rest = apart ? logTail[row]! + Math.log1p(-Math.min(1, Math.exp(ofLabel - logTail[row]!))) : logTail[row]!
    all.fill(rest - Math.log(Math.max(1, classes - k - Number(apart))))
    for (let i = 0; i < k; i++) all[own[i]!] = logits[row * k + i]! / temperature
    if (apart) all[label] = ofLabel
    return all
  }
}
