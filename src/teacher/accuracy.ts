import { type Columns, codecOf, type RowKind, targetKind } from '../cache/index.js'

/** What a teacher gets right, of the rows with a label. */
export interface Accuracy {
  /** Rows with a label. */
  labelled: number
  /** Share of them whose label is the teacher's top class. */
  accuracy: number
  /** The share that classes and labels would have if they had nothing to do with each other. */
  chance: number
  /** The accuracy is not above chance by more than chance itself is by once in a hundred times: something does not belong together. */
  atChance: boolean
}

/** The standard normal quantile of 99 %. */
const Z99 = 2.326

/** Counts batch by batch, from the columns that are written anyway; undefined for sequences, whose labels are not the rows'. */
export function createAccuracy(rows: RowKind) {
  const { codec, classes, positions = 1 } = rows
  const [{ tops }, kind] = [codecOf(codec), targetKind(rows)]
  const [labelsOf, topsOf] = [new Float64Array(classes), new Float64Array(classes)]
  let [labelled, hits] = [0, 0]
  return {
    /** `labels` int32 [n], -1 = none, of rows with the codec's `columns`. */
    add(labels: Int32Array, columns: Columns): void {
      if (positions > 1 || labels.every((label) => label < 0)) return
      const top = tops(columns, kind, labels)
      for (let row = 0; row < labels.length; row++) {
        const label = labels[row]!
        if (label < 0) continue
        labelled++
        labelsOf[label]!++
        if (top[row]! >= 0) topsOf[top[row]!]!++
        if (top[row] === label) hits++
      }
    },
    /** undefined where no row has had a label. */
    result(): Accuracy | undefined {
      if (labelled === 0) return undefined
      const accuracy = hits / labelled
      const { chance, deviation } = chanceOf(labelsOf, topsOf, labelled)
      const possible = chance + Z99 * deviation < 1 // else so few rows tell nothing
      return { labelled, accuracy, chance, atChance: possible && accuracy <= chance + Z99 * deviation }
    },
    /** So far. */
    share: () => (labelled === 0 ? undefined : hits / labelled),
  }
}

/**
 * The agreement that two counts of classes over n rows have by chance, and its standard deviation: p_e of kappa (Cohen 1960) and kappa's standard
 * error where there is no more than chance (Fleiss, Cohen and Everitt 1969), times 1 - p_e. Of labels that are all of one class p_e says nothing: there it is 1/C.
 */
function chanceOf(labels: Float64Array, tops: Float64Array, n: number): { chance: number; deviation: number } {
  if (labels.some((count) => count === n)) {
    const chance = 1 / labels.length
    return { chance, deviation: Math.sqrt((chance * (1 - chance)) / n) }
  }
  let [chance, both] = [0, 0]
  labels.forEach((count, c) => {
    const [p, q] = [count / n, tops[c]! / n]
    chance += p * q
    both += p * q * (p + q)
  })
  return { chance, deviation: Math.sqrt(Math.max(0, chance + chance ** 2 - both) / n) }
}
