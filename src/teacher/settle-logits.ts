import type { Plan } from '../cache/index.js'
import { DecantError } from '../errors.js'
import type { Reading } from '../onnx/index.js'
import { floorOf, inUnit, judgeValues, largestDifference, SUM_TOLERANCE } from './judge-outputs.js'
import { type FusedModel, type LoadedTeacher, type ReadyTeacher, rawValues } from './load-teacher.js'
import { type LogitsAre, logitsAre } from './options.js'
import type { TeacherOutput } from './run-rows.js'
import { finiteRows } from './sample-rows.js'

export interface SettleOptions {
  /** Path of the teacher's model, for errors. */
  file: string
  teacher: LoadedTeacher
  /** Runs a graph on rows that are drawn from all of the source, the same ones each time. */
  sample: (fused: FusedModel) => Promise<TeacherOutput>
  told?: LogitsAre | undefined
  /** The labels of the source, or the classes that the model names, are two. */
  twoClasses: boolean
  /** As an unfinished export of the same teacher has it. */
  before?: Plan['teacher'] | undefined
}

/** How a teacher's logits come out of its output, and the graph that gives them. */
export interface SettledLogits {
  teacher: ReadyTeacher
  /** What decided, where the graph's structure alone did not. */
  rule: 'numbers' | 'told' | undefined
  raw: FusedModel
  /** The raw logits of the sample. */
  sampled: TeacherOutput
}

/**
 * Decides how the logits are read from a teacher's output. The graph's structure proposes; the numbers decide: the softmax of what is cached must be
 * what the output itself says. Throws DecantError where neither makes it clear, naming --logits-are, and where what is told cannot be.
 */
export async function settleLogits(options: SettleOptions): Promise<SettledLogits> {
  const { teacher, sample, told } = options
  const fused = teacher.values()
  const own = await sample(fused)
  const columns = own.columns.logits!.length / own.rowSum.length
  const reader: Reader = { ...options, own, columns, values: valuesOf(own, finiteRows(own), columns) }
  const { reading, rule, seen } = await (told ? follow(reader, told) : decide(reader))
  const ready = teacher.read(reading)
  if (areAsTheyAre(reading)) return { teacher: ready, rule, raw: fused, sampled: own }
  return { teacher: ready, rule, ...(seen ?? (await look(ready, sample))) }
}

/** The raw logits of the sample, and the graph that gives them. */
type Seen = Pick<SettledLogits, 'raw' | 'sampled'>

async function look(teacher: ReadyTeacher, sample: SettleOptions['sample']): Promise<Seen> {
  const raw = teacher.fuse(rawValues)
  return { raw, sampled: await sample(raw) }
}

interface Reader extends SettleOptions {
  own: TeacherOutput
  /** Of the output: C, or 1. */
  columns: number
  /** Of the sampled rows that are finite, [n, columns]. */
  values: Float32Array
}

interface Decision {
  reading: Reading
  rule: SettledLogits['rule']
  seen?: Seen
}

async function decide(reader: Reader): Promise<Decision> {
  const { columns, values, teacher, twoClasses } = reader
  const { output } = teacher
  const proposal = output.propose(columns)
  const { column } = proposal
  if (values.length === 0) return { reading: withFloor(reader, proposal), rule: undefined } // the first such row ends the export
  const seen = output.cuts(proposal) ? await confirm(reader, proposal, { normalised: true }) : undefined
  if (seen) return { reading: proposal, rule: undefined, seen }

  /** The graph proposed the same, or something that the numbers do not confirm. */
  const by = (reading: Reading): Decision => ({ reading, rule: reading.kind === proposal.kind ? undefined : 'numbers' })
  const logOf = (): Decision => by({ kind: 'log of probabilities', floor: floorFor(reader), column })
  if (column) {
    if (output.probable && inUnit(values)) return logOf()
    if (twoClasses && !inUnit(values)) return { reading: { kind: 'logits', column }, rule: 'numbers' }
    throw unclear(
      reader,
      inUnit(values)
        ? 'it is one column of values in [0, 1]'
        : 'it is one column: a teacher of two classes, or a score? The graph ends in no sigmoid, and the labels are not two classes',
    )
  }
  const { probable } = output
  const verdict = judgeValues({ values, classes: columns, tolerance: SUM_TOLERANCE[output.grain], probable })
  if (verdict === 'probabilities') return logOf()
  if (output.sigmoids) throw multiLabel(reader)
  if (typeof verdict !== 'string') throw unclear(reader, verdict.unclear)
  return by({ kind: verdict, column })
}

/** What the user says holds, unless the numbers show that it cannot be. */
async function follow(reader: Reader, told: LogitsAre): Promise<Decision> {
  const { columns, values, teacher } = reader
  const { output } = teacher
  const proposal = output.propose(columns)
  const { column } = proposal
  if (told === 'probabilities') {
    if (values.some((value) => value < -SUM_TOLERANCE.float32)) throw impossible(reader, told, 'below 0')
    const normalised = proposal.kind !== 'log of probabilities'
    const seen = output.cuts(proposal) ? await confirm(reader, proposal, { normalised }) : undefined
    if (seen) return { reading: proposal, rule: 'told', seen }
    return { reading: { kind: 'log of probabilities', floor: floorFor(reader), column }, rule: 'told' }
  }
  if (told === 'log-probabilities' && values.some((value) => value > SUM_TOLERANCE.coarse))
    throw impossible(reader, told, 'above 0')
  return { reading: { kind: told, column }, rule: 'told' }
}

/** Are the output's values the logits? */
export const areAsTheyAre = ({ kind, column }: Reading): boolean =>
  !column && (kind === 'logits' || kind === 'log-probabilities')

/** How far apart the output and the softmax of its logits may be, in other precision or order of sums. */
const SAME = { float32: 1e-3, float16: 5e-3, coarse: 2e-2 } as const

/** The sample's logits by a proposal, where the output's own values come of them. */
async function confirm(
  { own, columns, sample, teacher }: Reader,
  proposal: Reading,
  { normalised }: { normalised: boolean },
): Promise<Seen | undefined> {
  const { logarithm, grain } = teacher.output
  const seen = await look(teacher.read(proposal), sample)
  const { sampled } = seen
  const classes = sampled.columns.logits!.length / sampled.rowSum.length
  const both = finiteRows(sampled).filter((row) => Number.isFinite(own.rowSum[row]))
  const sides = { logits: valuesOf(sampled, both, classes), values: valuesOf(own, both, columns) }
  const options = { classes, columns, logarithm, normalised, coarse: grain === 'coarse' }
  return both.length > 0 && largestDifference(sides, options) <= SAME[grain] ? seen : undefined
}

function floorFor({ columns, values, before, teacher: { output } }: Reader): number {
  if (before?.floor !== undefined) return before.floor
  // of one column, p and 1 - p
  const all = columns > 1 ? values : Float32Array.from([...values, ...values.map((p) => 1 - p)])
  return floorOf(all, { classes: Math.max(2, columns), coarse: output.grain === 'coarse', tiny: output.tiny })
}

const withFloor = (reader: Reader, reading: Reading): Reading =>
  reading.kind === 'log of probabilities' && !reader.teacher.output.cuts(reading)
    ? { ...reading, floor: floorFor(reader) }
    : reading

function valuesOf({ columns }: TeacherOutput, rows: readonly number[], width: number): Float32Array {
  const all = columns.logits as Float32Array
  const some = new Float32Array(rows.length * width)
  rows.forEach((row, i) => {
    some.set(all.subarray(row * width, (row + 1) * width), i * width)
  })
  return some
}

const flags = `say what they are with --logits-are ${logitsAre.join('|')}`

const unclear = ({ file, teacher }: Reader, why: string) =>
  new DecantError(`${file}: are the values of '${teacher.output.from}' logits? ${why}: ${flags}`)

const multiLabel = ({ file, columns, teacher }: Reader) =>
  new DecantError(
    `${file}: '${teacher.output.from}' ends in ${columns} sigmoids, whose rows do not sum to 1: a teacher of several labels a row (multi-label), which decant does not know yet. Where a row has one label all the same, ${flags}`,
  )

const impossible = ({ file, teacher }: Reader, told: LogitsAre, where: string) =>
  new DecantError(`${file}: --logits-are ${told}, but '${teacher.output.from}' has values ${where}`)
