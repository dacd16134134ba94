import {
  codecOf,
  codecsOf,
  idAt,
  MASKED_GAP,
  type Manifest,
  nextTokens,
  type Row,
  type Targets,
  viewsOf,
} from '../cache/index.js'
import { DecantError, FormatError, MismatchError } from '../errors.js'
import type { LogitsKind, Reading } from '../onnx/index.js'
import { random } from '../random.js'
import { checkExported } from '../source/check-exported.js'
import type { Batch, Preprocess, Source } from '../source/index.js'
import { createReplay, type ImageShape } from '../source/views/index.js'
import { openDevice } from './device.js'
import { type LoadedTeacher, loadTeacher, rawValues } from './load-teacher.js'
import { chooseProvider, type Provider } from './provider.js'
import { isTie } from './ties.js'

export interface RerunOptions {
  targets: Targets
  /** The source that the targets were exported from. */
  source: Source
  /** Path of the ONNX teacher. */
  teacher: string
  /** Name of the logits output, where the model has several candidates; default: the one that was exported. */
  output?: string
  /** How many rows, drawn without repetition. Default 256. */
  rows?: number
  seed?: number
  provider?: Provider | 'auto'
}

/** What a teacher says now against what the dataset says it said. Logits are raw, T = 1. */
export interface Rerun {
  rows: number
  seed: number
  provider: Provider
  /** The file is the one that was exported, byte for byte. */
  sameTeacher: boolean
  /** mean and largest |Δz| */
  meanDifference: number
  maxDifference: number
  /** share of rows whose top class is the same, or one of those that are now the largest but for rounding */
  agreement: number
  tolerance: Tolerance
  /** Both are within the tolerance. */
  within: boolean
  /** How the graph's end would be read, where the dataset took its output for logits as it is: it has something else. */
  misread?: LogitsKind
}

export interface Tolerance {
  /** the most that mean |Δz| may be: a share of the mean gap to a row's top logit, as roundings are */
  meanDifference: number
  agreement: number
}

/** Rows run at once. */
const BATCH = 32

/**
 * Runs the teacher again on random rows and compares.
 * @throws MismatchError where the source is another than was exported; DecantError where the dataset cannot be re-run; UnavailableError
 */
export async function rerunTeacher(options: RerunOptions): Promise<Rerun> {
  const { targets, seed = 0 } = options
  const { manifest } = targets
  checkSource(targets, options.source)
  // which has the same rows, and what becomes of them was recorded
  const source = { ...options.source, preprocess: { version: 1, ...manifest.preprocess } as Preprocess }
  const picked = pickRows(targets.rows, options.rows ?? 256, seed)
  const choice = chooseProvider(options.provider ?? 'auto')
  const output = options.output ?? manifest.teacher.output
  const exported = source.preprocess.text?.pad ?? 0 // a manifest that does not say it had 0
  const pad = typeof exported === 'number' ? exported : undefined
  const told = manifest.teacher.rule === 'told'
  const loaded = await loadTeacher({ teacher: options.teacher, source, output, pad, told })
  const { rows: apart, fixedBatch } = manifest.runtime
  const read = (columns: number | undefined) => ({
    ...loaded.read(readingOf(manifest, loaded, columns)).fuse(rawValues),
    ...(fixedBatch && { fixedBatch: { rows: fixedBatch } }),
  })
  const fused = read(loaded.output.classes)
  const device = await openDevice({
    ...fused,
    teacher: options.teacher,
    provider: choice.provider,
    device: choice.devices[0]!,
  })
  const sums = createSums()
  const values = targets.classes * (manifest.positions ?? 1)
  try {
    for await (const samples of findSamples(targets, source, picked)) {
      const run = async () => {
        const feeds = { [fused.inputs[0]!.name]: concat(replayViews(samples, targets, source)) }
        return (await device.run(feeds, samples.length, apart && 1)).columns.logits as Float32Array
      }
      let logits = await run()
      if (targets.classes === 2 && logits.length === samples.length) {
        await device.load(read(1)) // one column, which its declared shape did not say
        logits = await run()
      }
      if (logits.length !== samples.length * values)
        throw new MismatchError(`${options.teacher} is not the teacher of ${targets.dir}:`, [
          `logits of a row: ${values}, found ${logits.length / samples.length}`,
        ])
      samples.forEach((sample, i) => {
        addRow(sums, sample, { now: logits.subarray(i * values, (i + 1) * values), manifest })
      })
    }
  } finally {
    await device.close()
  }
  const { gap, ...measured } = sums.result()
  const tolerance = toleranceOf(manifest, choice.provider, gap)
  return {
    rows: picked.length,
    seed,
    provider: choice.provider,
    sameTeacher: isSame(manifest, loaded),
    ...measured,
    tolerance,
    ...misreadOf(manifest, loaded),
    // so that NaN is outside
    within: measured.meanDifference <= tolerance.meanDifference && measured.agreement >= tolerance.agreement,
  }
}

const isSame = ({ teacher }: Manifest, { sha256 }: LoadedTeacher): boolean => sha256 === teacher.sha256

/** An export by decant 0.1 of before the numbers were looked at did not see probabilities behind everything that is seen through now. */
function misreadOf(manifest: Manifest, loaded: LoadedTeacher): Pick<Rerun, 'misread'> {
  const { teacher, classes } = manifest
  if (!isSame(manifest, loaded) || teacher.logits !== 'logits' || teacher.rule) return {}
  const { kind } = loaded.output.propose(loaded.output.classes ?? classes)
  return kind === 'logits' ? {} : { misread: kind }
}

/** As the logits were found when they were exported; of another file, as its graph says, unless the graph did not decide it then. */
function readingOf(manifest: Manifest, loaded: LoadedTeacher, columns: number | undefined): Reading {
  const { logits: kind, floor, rule, swapped } = manifest.teacher
  if (isSame(manifest, loaded) || rule) return { kind, floor, column: columns === 1, swapped }
  const proposal = { ...loaded.output.propose(columns), swapped }
  return proposal.kind === kind ? { ...proposal, floor } : proposal
}

/**
 * What a sound dataset stays within. float16 rounds a gap by at most 2^-11 of it, half of that on average; 8 bits by a few thousandths
 * of the largest gap, which is some times the mean one; hybrid, which is coarse where a class weighs little, by up to a twentieth of the mean gap; runtimes in float32 differ by the order of their sums, ten times as much
 * between providers (TF32 on CUDA); a float16 teacher rounds at every layer.
 */
export function toleranceOf(manifest: Manifest, provider: Provider, meanGap: number): Tolerance {
  const { runtime } = manifest
  const codecs = codecsOf(manifest)
  const [bytes, bits] = [codecs.includes('q8'), codecs.some((codec) => codec.startsWith('hybrid'))]
  const rounding = bits ? 5e-2 : bytes ? 2e-2 : codecs.every((codec) => codec === 'f32') ? 0 : 2 ** -12
  const half = runtime.precision === 'float16'
  const arithmetic = half ? 5e-3 : provider === runtime.provider ? 1e-4 : 1e-3
  return { meanDifference: (rounding + arithmetic) * meanGap, agreement: half || bytes || bits ? 0.97 : 0.99 }
}

type Sums = ReturnType<typeof createSums>

/** Compares each target of a row: all classes, or those that the codec keeps, and the label's logit beside them. Positions behind a sequence's end count for nothing. */
function addRow(sums: Sums, sample: Sample, { now, manifest }: { now: Float32Array; manifest: Manifest }): void {
  const { row, input } = sample
  const { classes, codec, positions = 1 } = manifest
  const length = row.columns.length?.[0] ?? positions
  const dense = codecOf(codec).kind === 'dense'
  const labels = dense || positions === 1 ? [row.label ?? -1] : nextTokens(input, { positions, classes })
  for (let at = 0; at < length; at++) {
    const said = now.subarray(at * classes, (at + 1) * classes)
    if (dense) {
      const stored = row.logits.subarray(at * classes, (at + 1) * classes)
      sums.add(stored, said, { top: topOf(stored), said })
    } else {
      const { index, logits, labelLogit, k } = row.buckets
      const kept = [...index.subarray(at * k, (at + 1) * k)]
      const stored = [...logits.subarray(at * k, (at + 1) * k)]
      if (labelLogit && labels[at]! >= 0) {
        kept.push(labels[at]!)
        stored.push(labelLogit[at]!)
      }
      sums.add(
        Float32Array.from(stored),
        Float32Array.from(kept, (c) => said[c]!),
        { top: kept[0]!, said },
      )
    }
  }
}

function checkSource({ dir, manifest }: Targets, source: Source): void {
  const operations = [manifest, ...(manifest.derived?.ancestors ?? [])].map(({ derived }) => derived?.operation)
  if (operations.includes('ensemble'))
    throw new DecantError(`${dir}: an ensemble has several teachers: re-run each on the dataset that it was made of`)
  checkExported(manifest, source, { dir })
}

/** `count` of `rows` row numbers, ascending, each at most once (Floyd's algorithm, Bentley 1987). */
function pickRows(rows: number, count: number, seed: number): number[] {
  const { below } = random(seed, 'rerun')
  const picked = new Set<number>()
  for (let most = Math.max(0, rows - count); most < rows; most++) {
    const row = below(most + 1)
    picked.add(picked.has(row) ? most : row)
  }
  return [...picked].sort((a, b) => a - b)
}

type Inputs = Batch['inputs']

/** A row of the dataset, and the source's input that it is of. */
interface Sample {
  row: Row
  input: Inputs
}

/** The rows with their inputs, at most BATCH at once; in their order where the source's rows are the dataset's. */
async function* findSamples(targets: Targets, source: Source, rows: number[]): AsyncGenerator<Sample[]> {
  const { manifest } = targets
  const { range, skipped } = manifest.source
  const [from, views] = [range?.from ?? 0, viewsOf(manifest)]
  const aligned = skipped.length === 0 && source.rows >= from + manifest.rows / views
  /** Rows, by id, that are not where they would be if none had been left out. */
  const elsewhere = new Map<string, number[]>()
  for (let first = 0; first < rows.length; first += BATCH) {
    const stored = await Promise.all(rows.slice(first, first + BATCH).map((row) => targets.row(row)))
    const batch = aligned && (await source.read(stored.map(({ index }) => from + Math.floor(index / views))))
    const samples: Sample[] = []
    stored.forEach((row, i) => {
      if (batch && idAt(batch.ids, i) === row.id) samples.push({ row, input: inputOf(batch, i) })
      else elsewhere.set(row.id, [...(elsewhere.get(row.id) ?? []), row.index])
    })
    if (samples.length > 0) yield samples
  }
  if (elsewhere.size > 0) yield* searchSamples(targets, source, elsewhere)
}

/** Rows that were skipped or not selected shift those after them, and nothing says by how much: the source is walked through. */
async function* searchSamples(
  targets: Targets,
  source: Source,
  wanted: Map<string, number[]>,
): AsyncGenerator<Sample[]> {
  let samples: Sample[] = []
  for await (const batch of source.batches({ size: 8 * BATCH, onError: 'skip' })) {
    for (let i = 0; i < batch.rows; i++) {
      const id = idAt(batch.ids, i)
      for (const index of wanted.get(id) ?? []) {
        samples.push({ row: await targets.row(index), input: inputOf(batch, i) })
        if (samples.length < BATCH) continue
        yield samples
        samples = []
      }
      wanted.delete(id)
    }
    if (wanted.size === 0) break
  }
  if (samples.length > 0) yield samples
  for (const [id, [index]] of wanted)
    throw new FormatError(`row ${index} has the id '${id}', which ${source.uri} does not have`)
}

function inputOf({ inputs, rows }: Batch, i: number): Inputs {
  const width = inputs.length / rows
  return inputs.slice(i * width, (i + 1) * width)
}

/** The inputs; of a dataset with views, each row's own view of its sample. */
function replayViews(samples: Sample[], { dir, manifest: { views } }: Targets, source: Source): Inputs[] {
  if (views === 1) return samples.map(({ input }) => input)
  const shape = source.input.shape as ImageShape
  const replay = createReplay(views, { shape, where: `${dir}/manifest.json` })
  return samples.map(({ row: { index, id, columns }, input }) => {
    const into = new Uint8Array(input.length)
    const name = () => `${dir}: row ${index} ('${id}')`
    replay({ pixels: input as Uint8Array, p: columns.view_params!, into, name })
    return into
  })
}

/** In a buffer of its own, as it is moved to the device's thread. */
function concat(parts: Inputs[]): Inputs {
  const width = parts[0]!.length
  const all = new (parts[0]!.constructor as new (length: number) => Inputs)(parts.length * width)
  parts.forEach((part, i) => {
    all.set(part, i * width)
  })
  return all
}

function createSums() {
  let [rows, values, sum, max, gaps, agreed] = [0, 0, 0, 0, 0, 0]
  return {
    /** `top`: the class that was the largest, of all that is said now. */
    add(stored: Float32Array, now: Float32Array, { top, said }: { top: number; said: Float32Array }) {
      const b = topOf(now)
      const most = said[topOf(said)]!
      const isMasked = (z: number) => most - z >= MASKED_GAP
      for (let c = 0; c < now.length; c++) {
        if (isMasked(now[c]!) && isMasked(stored[c]!)) continue // no gap that a rounding is a share of
        values++
        const difference = Math.abs(now[c]! - stored[c]!)
        sum += difference
        max = Math.max(max, difference)
        gaps += now[b]! - now[c]!
      }
      rows++
      if (isTie(most, said[top]!)) agreed++
    },
    result: () => ({
      meanDifference: sum / values,
      maxDifference: max,
      agreement: agreed / rows,
      gap: gaps / values,
    }),
  }
}

function topOf(logits: Float32Array): number {
  let top = 0
  for (let c = 1; c < logits.length; c++) if (logits[c]! > logits[top]!) top = c
  return top
}
