import { random } from '../random.js'
import type { Batch, Inputs, Source } from '../source/index.js'
import type { Device } from './device.js'
import type { FusedModel } from './load-teacher.js'
import type { TeacherOutput } from './run-rows.js'

/** Rows that are looked at before anything is written, at most, and values of their logits: about a second for each codec. */
const SAMPLE_ROWS = 256
const SAMPLE_VALUES = 2 ** 20

/** Random rows of a part of the source; those that cannot be read are left out, and `first` stands in where none can. */
export async function sampleRows(source: Source, first: Batch, range: { from: number; to: number }): Promise<Batch> {
  const { below } = random('fidelity', source.fingerprint)
  const rows = range.to - range.from
  const picked = new Set(Array.from({ length: Math.min(SAMPLE_ROWS, rows) }, () => range.from + below(rows)))
  const sorted = [...picked].sort((a, b) => a - b)
  return source.read(sorted).catch(async () => {
    const isReadable = (row: number) =>
      source.read([row]).then(
        () => true,
        () => false,
      )
    const readable = await Promise.all(sorted.map(isReadable))
    const kept = sorted.filter((_, i) => readable[i])
    return kept.length > 0 ? source.read(kept) : first
  })
}

/** Raw logits of a batch's rows, of as many as a sample has: the first ones, or `spread` over all of it. */
export async function sampleLogits(
  device: Device,
  batch: Batch,
  { raw, spread = false, alone = false }: { raw: FusedModel; spread?: boolean; alone?: boolean },
): Promise<TeacherOutput> {
  const run = (rows: number) => {
    const picked = Array.from({ length: rows }, (_, i) => (spread ? Math.floor((i * batch.rows) / rows) : i))
    return device.run({ [raw.inputs[0]!.name]: takeRows(batch, picked) }, rows, alone ? 1 : rows)
  }
  const one = await run(1)
  const rows = rowsToSample(batch, one.columns.logits!.length)
  return rows > 1 ? run(rows) : one
}

/** Runs different rows of a sample, by their numbers, in one call. */
export type RunSampled = (rows: readonly number[]) => Promise<TeacherOutput>

/** A runner of the rows of a batch whose inputs are unlike those of the rows before them, and how many they are. */
export function differentRows(device: Device, batch: Batch, raw: FusedModel): { run: RunSampled; rows: number } {
  const bytes = Buffer.from(batch.inputs.buffer, batch.inputs.byteOffset, batch.inputs.byteLength)
  const width = bytes.length / batch.rows
  const row = (i: number) => bytes.subarray(i * width, (i + 1) * width)
  const rows: number[] = []
  for (let i = 0; i < batch.rows; i++) if (!rows.some((before) => row(before).equals(row(i)))) rows.push(i)
  const run: RunSampled = (picked) => {
    const inputs = takeRows(
      batch,
      picked.map((i) => rows[i]!),
    )
    return device.run({ [raw.inputs[0]!.name]: inputs }, picked.length)
  }
  return { run, rows: rows.length }
}

/** Inputs of some rows of a batch, in a buffer of their own, as it is moved to the device. */
export function takeRows({ inputs, rows }: Batch, picked: readonly number[]): Inputs {
  const width = inputs.length / rows
  const some = new (inputs.constructor as new (length: number) => Inputs)(picked.length * width)
  picked.forEach((row, i) => {
    some.set(inputs.subarray(row * width, (row + 1) * width), i * width)
  })
  return some
}

/** How many rows of a sample are run. */
const rowsToSample = (batch: Batch, valuesPerRow: number): number =>
  Math.max(1, Math.min(batch.rows, Math.floor(SAMPLE_VALUES / valuesPerRow)))

/** Which of a sample's rows, or positions of its rows, are finite; padding is left out. */
export function finiteRows({ columns, rowSum, rows }: TeacherOutput): number[] {
  const lengths = columns.length as Int32Array | undefined
  const positions = rowSum.length / rows
  const kept: number[] = []
  rowSum.forEach((sum, at) => {
    const isPadding = lengths !== undefined && at % positions >= lengths[Math.floor(at / positions)]!
    if (Number.isFinite(sum) && !isPadding) kept.push(at)
  })
  return kept
}

/** The raw logits [n, C] of a sample, of long sequences some positions; rows that are not finite end the export where they come up, and are left out here. */
export function finiteTargets(output: TeacherOutput, classes: number): Float32Array {
  const logits = output.columns.logits as Float32Array
  const kept = finiteRows(output)
  const step = Math.ceil((kept.length * classes) / SAMPLE_VALUES)
  const some = kept.filter((_, i) => i % step === 0)
  const all = new Float32Array(some.length * classes)
  some.forEach((row, i) => {
    all.set(logits.subarray(row * classes, (row + 1) * classes), i * classes)
  })
  return all
}
