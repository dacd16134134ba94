import { DecantError } from '../errors.js'
import type { LabelOutput } from '../onnx/index.js'
import type { TeacherOutput } from './run-rows.js'
import { finiteRows } from './sample-rows.js'
import { isTie } from './ties.js'

/** What a teacher says of some rows, drawn from all of the source. */
export interface SaidLabels {
  /** Path of the teacher's model, and the model's name of the logits' output, for errors. */
  file: string
  output: string
  label: LabelOutput
  /** What the label output gives for some rows: an integer, or the place of a text among its labels, -1 for none of them; float32 [n, 1]. */
  said: TeacherOutput
  /** Raw logits of the same rows, or, where they are many values, of some of them, evenly spread; [m, C]. */
  sampled: TeacherOutput
}

export interface LabelVerdict {
  /** Rows compared: those whose two largest logits are nearly equal are not. */
  rows: number
  /** Share of them whose label is the class of the largest logit, once swapped where it is. */
  agreement: number
  /** The two columns stand the other way round. */
  swapped: boolean
}

/** A label output that agrees in fewer rows is of other scores. */
const LEAST = 0.99

/**
 * Holds a model's label output against the largest of what will be cached; undefined where it does not give one class a row. Two columns that agree once they are swapped are the other way round, as
 * skl2onnx writes the scores of a support vector machine. Throws DecantError where they agree in neither way.
 */
export function judgeLabels(given: SaidLabels): LabelVerdict | undefined {
  const { label, said, sampled } = given
  if (said.columns.logits!.length !== said.rows) return undefined
  const classes = sampled.columns.logits!.length / sampled.rows
  const clear = clearRows(given, classes)
  if (clear.length === 0) return { rows: 0, agreement: 1, swapped: false }
  const readings = readingsOf(label)
  const best = (swap: boolean) => Math.max(...readings.map((read) => shareOf(clear, read, swap)))
  const agreement = best(false)
  if (agreement >= LEAST) return { rows: clear.length, agreement, swapped: false }
  const other = classes === 2 ? best(true) : 0
  if (other >= LEAST) return { rows: clear.length, agreement: other, swapped: true }
  throw disagree(given, clear, { agreement, ...(classes === 2 && { other }) })
}

interface ClearRow {
  said: number
  top: number
}

function clearRows({ said, sampled }: SaidLabels, classes: number): ClearRow[] {
  const [labels, logits] = [said.columns.logits!, sampled.columns.logits!]
  return finiteRows(sampled).flatMap((row) => {
    const z = logits.subarray(row * classes, (row + 1) * classes) as Float32Array
    let [top, second] = [0, Number.NEGATIVE_INFINITY]
    for (let c = 1; c < classes; c++) {
      second = Math.max(second, Math.min(z[c]!, z[top]!))
      if (z[c]! > z[top]!) top = c
    }
    return isTie(z[top]!, second) ? [] : [{ said: labels[Math.floor((row * said.rows) / sampled.rows)]!, top }]
  })
}

/** How what is said may be read, as the place of a class. */
function readingsOf({ labels, dtype, orPlaces }: LabelOutput): ((said: number) => number)[] {
  const asPlace = (said: number) => said
  if (!labels || dtype === 'string') return [asPlace]
  const places = new Map(labels.map((label, place) => [Math.fround(Number(label)), place]))
  const asLabel = (said: number) => places.get(said) ?? -1
  return orPlaces ? [asLabel, asPlace] : [asLabel]
}

function shareOf(rows: readonly ClearRow[], read: (said: number) => number, swap: boolean): number {
  return rows.filter(({ said, top }) => read(said) === (swap ? 1 - top : top)).length / rows.length
}

function disagree(
  { file, output, label }: SaidLabels,
  rows: readonly ClearRow[],
  { agreement, other }: { agreement: number; other?: number },
): DecantError {
  const percent = (share: number) => `${(100 * share).toFixed(1)} %`
  const [read] = readingsOf(label)
  const row = rows.find(({ said, top }) => read!(said) !== top)!
  const nameOf = (place: number) => label.labels?.[place] ?? place
  const said = label.dtype === 'string' ? nameOf(row.said) : row.said
  const swapped = other !== undefined ? ` (with the two columns swapped, in ${percent(other)})` : ''
  return new DecantError(
    `${file}: its label output '${label.name}' is the class of the largest of '${output}' in ${percent(agreement)} of ${rows.length} sampled rows${swapped}, expected ${percent(LEAST)}: of one row it says ${said}, the largest is that of ${nameOf(row.top)}. Name the output that it belongs to with --output, or take the label output out of the file if it means something else`,
  )
}
