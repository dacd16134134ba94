import { openTargets } from '../../src/cache/index.js'
import type { Case } from './case.js'

/** What a dataset says of a case's rows, held against what the teacher's own file says of them. */
export interface Judgement {
  /** What is wrong, in a few words; undefined: nothing. */
  wrong: string | undefined
  /** How decant found the logits, as manifest.json says it. */
  read: string
  /** Largest |difference| from the file's own probabilities; of scores, relative to the largest of the row. */
  error: number
  /** The same from the library's own answer. */
  library: number | undefined
  /** Share of labelled rows whose greatest logit is their label. */
  accuracy: number | undefined
}

export async function judge(given: Case, dataset: string): Promise<Judgement> {
  const targets = await openTargets(dataset)
  try {
    const { logits, labels } = await targets.load()
    const { teacher, runtime, names } = targets.manifest
    const read = [
      teacher.logits,
      teacher.rule && `by ${teacher.rule}`,
      teacher.swapped && 'columns exchanged',
      runtime.rows && 'a row a call',
      runtime.fixedBatch && `${runtime.fixedBatch} rows a call`,
    ]
    const found = {
      read: read.filter(Boolean).join(', '),
      accuracy: accuracyOf(logits, labels, targets.classes),
      error: Number.NaN,
      library: undefined,
    }
    if (given.gives === 'nothing') return { ...found, wrong: 'should be refused' }
    if (logits.length !== given.expected.length || targets.classes !== given.shape.at(-1))
      return { ...found, wrong: `${targets.rows} rows of ${targets.classes} classes for ${given.shape.join('×')}` }
    const error = distance(given, logits, labelled(given))
    const library = given.library?.length === logits.length ? distance(given, logits, given.library) : undefined
    return { ...found, error, library, wrong: faultOf(given, error, labels, names) }
  } finally {
    await targets.close()
  }
}

function faultOf(given: Case, error: number, labels: Int32Array, names: readonly string[] | null) {
  if (!(error <= given.tolerance))
    return `${given.gives === 'scores' ? 'scores' : 'probabilities'} off by ${error.toPrecision(2)}`
  if (contradicted(given)) return `the label output says another class in ${percent(1 - given.agreement!)} of rows`
  const row = given.truth.findIndex((label, i) => labels[i] !== label)
  if (row >= 0 && given.shape.length === 2)
    return `row ${row} has label ${labels[row]}, its class is ${given.truth[row]}`
  if (given.names.some((name, i) => typeof name === 'string' && names?.[i] !== name))
    return `classes named ${names?.join(', ')} for ${given.names.join(', ')}`
  return undefined
}

/** Largest difference between the file's own answer and the library's: what the converter did. */
export function converterError(given: Case): number | undefined {
  return given.library?.length === given.expected.length ? distance(given, labelled(given), given.library) : undefined
}

/** Rows of a hundred whose label output may be another class than the greatest value, as where values are equal. */
const AGREEING = 0.99
/** Of two classes whose label output says the opposite of the scores, the scores are the wrong way round. */
const exchanged = ({ shape, agreement }: Case) => shape.at(-1) === 2 && agreement !== null && agreement <= 1 - AGREEING

const contradicted = (given: Case) => given.agreement !== null && given.agreement < AGREEING && !exchanged(given)

const percent = (share: number) => `${(100 * share).toFixed(0)} %`

/** The file's own answer, its columns as its label output has them. */
function labelled(given: Case): Float64Array {
  return exchanged(given) ? given.expected.map((_, i) => given.expected[i ^ 1]!) : given.expected
}

/**
 * Largest difference from `wanted`, row-major; rows with NaN there are left out. Of probabilities |softmax(z) - p|, where z may be the
 * logarithms of probabilities; of scores, less their row's mean, relative to the largest of the row.
 */
function distance({ gives, shape }: Case, z: ArrayLike<number>, wanted: Float64Array): number {
  const width = shape.at(-1)!
  let worst = 0
  for (let from = 0; from < wanted.length; from += width) {
    const at = Array.from({ length: width }, (_, k) => from + k)
    const [a, b] = [at.map((i) => z[i]!), at.map((i) => wanted[i]!)]
    if (b.some(Number.isNaN)) continue
    const difference =
      gives === 'scores' ? ofScores(a, b) : ofProbabilities(z instanceof Float32Array ? softmax(a) : a, b)
    if (!(difference <= worst)) worst = difference
    if (Number.isNaN(worst)) break
  }
  return worst
}

const ofProbabilities = (p: number[], q: number[]) => Math.max(...p.map((value, k) => Math.abs(value - q[k]!)))

const ofScores = (a: number[], b: number[]) =>
  ofProbabilities(centred(a), centred(b)) / Math.max(1, ...centred(b).map(Math.abs))

function softmax(z: number[]): number[] {
  const max = Math.max(...z)
  const exponentials = z.map((value) => Math.exp(value - max))
  const sum = exponentials.reduce((a, b) => a + b, 0)
  return exponentials.map((value) => value / sum)
}

function centred(z: number[]): number[] {
  const mean = z.reduce((a, b) => a + b, 0) / z.length
  return z.map((value) => value - mean)
}

function accuracyOf(logits: Float32Array, labels: Int32Array, classes: number): number | undefined {
  if (logits.length !== labels.length * classes) return undefined
  const rows = [...labels.keys()].filter((i) => labels[i]! >= 0)
  const right = rows.filter((i) => {
    const row = logits.subarray(i * classes, (i + 1) * classes)
    return row.indexOf(Math.max(...row)) === labels[i]
  })
  return rows.length > 0 ? right.length / rows.length : undefined
}
