import type { Chunk, Targets } from '../cache/index.js'
import { DecantError } from '../errors.js'
import { swapRedBlue } from '../source/channels.js'
import type { Inputs, Preprocess } from '../source/index.js'
import { isWanted, type Sample, type SampleHead, type SampleQuery, type Samples, TEMPERATURES } from './api.js'
import { bytesOf } from './overview.js'
import { isPicture, type RowInputs } from './row-inputs.js'
import type { AskedStudent } from './student.js'
import { argmax, readTeacher } from './teacher-rows.js'
import { type ToText, textOf } from './text.js'

// What bounds one answer that has to search; the next one goes on from there.
const MAX_SCANNED = 50_000
const MAX_BYTES = 256 * 2 ** 20
const MAX_MS = 1000
/** Rows, and bytes, that are searched at once. */
const CHUNK_ROWS = 1024
const CHUNK_BYTES = 4 * 2 ** 20

export const DEFAULT_LIMIT = 50
const PREVIEW = 200
const PREVIEWED_FEATURES = 8
/** A mass that JSON cannot hold the logarithm of. */
const NOTHING = -1e30

/** What samples are read from. */
export interface SampleSources {
  targets: Targets
  inputs: RowInputs | null
  student: AskedStudent | null
  toText: ToText | null
}

/** The rows that a query asks for, in their order. Without a filter no more are read than are asked for. */
export async function findSamples(sources: SampleSources, query: SampleQuery, signal: AbortSignal): Promise<Samples> {
  const { targets, inputs, student } = sources
  const { from = 0, before, limit = DEFAULT_LIMIT, label, predicted, only } = query
  if (only === 'disagree' && !student) throw new DecantError('there is no student here that could disagree')
  const back = before !== undefined
  const began = performance.now()
  const all = label === undefined && predicted === undefined && only === undefined
  // Stored inputs may be a thousand times as large as the targets: they are read in one go only where nearly all are looked at.
  const withInputs =
    inputs?.stored === true && (only === 'disagree' || (all && (student !== null || !isPicture(inputs))))
  const perRow = bytesOf(targets, { inputs: withInputs })
  const most = all ? limit : Math.min(MAX_SCANNED, Math.max(limit, Math.floor(MAX_BYTES / perRow)))
  const rows = all ? limit : Math.max(1, Math.min(CHUNK_ROWS, Math.floor(CHUNK_BYTES / perRow)))
  const start = Math.min(targets.rows, before ?? from)
  const range = back ? { from: Math.max(0, start - most), to: start } : { from: start, to: start + most }
  const chunks = back
    ? chunksBack(targets, { ...range, rows, inputs: withInputs, signal })
    : targets.chunks({ from: range.from, to: Math.min(targets.rows, range.to), rows, inputs: withInputs, signal })
  const parts: SampleHead[][] = []
  let [found, end] = [0, start]
  for await (const chunk of chunks) {
    const heads = await readHeads(sources, { chunk, query, most: limit - found, back })
    const own = heads.map(({ row }) => row - chunk.first)
    const shown = inputs && !isPicture(inputs) ? await inputs.read(chunk, own) : []
    const previews = await Promise.all(heads.map((_, i) => preview(shown[i] ?? null, sources)))
    heads.forEach((head, i) => {
      head.preview = previews[i]!
    })
    parts.push(heads)
    found += heads.length
    if (found === limit) end = back ? heads[0]!.row : heads.at(-1)!.row + 1
    else end = back ? chunk.first : chunk.first + chunk.rows
    if (found === limit || performance.now() - began > MAX_MS) break
  }
  const [first, last] = back ? [end, start] : [start, end]
  return {
    samples: (back ? parts.reverse() : parts).flat(),
    next: last < targets.rows ? last : null,
    previous: first > 0 ? first : null,
    scanned: last - first,
  }
}

/** Chunks of [from, to), the last one first. */
async function* chunksBack(
  targets: Targets,
  options: { from: number; to: number; rows: number; inputs: boolean; signal: AbortSignal },
): AsyncGenerator<Chunk> {
  const { from, rows, ...rest } = options
  for (let to = options.to; to > from; to -= rows) {
    // A chunk ends with its batch, too, so there may be several.
    const some: Chunk[] = []
    for await (const chunk of targets.chunks({ ...rest, from: Math.max(from, to - rows), to, rows })) some.push(chunk)
    yield* some.reverse()
  }
}

/**
 * The first `most` rows of a chunk that are wanted, or the last ones, in their order. What costs more is asked of fewer: the class, its
 * probability, then the student's class.
 */
async function readHeads(
  sources: SampleSources,
  { chunk, query, most, back = false }: { chunk: Chunk; query: SampleQuery; most: number; back?: boolean },
): Promise<SampleHead[]> {
  const { targets, student } = sources
  const { manifest } = targets
  const { positions = 1 } = manifest
  const { only, ...classes } = query
  const teacher = readTeacher(chunk, manifest)
  const heads: SampleHead[] = []
  let soften: ReturnType<typeof teacher.soften> | undefined
  for (let n = 0; n < chunk.rows && (only === 'disagree' || heads.length < most); n++) {
    const i = back ? chunk.rows - 1 - n : n
    const target = i * positions + shownPosition(chunk, { row: i, positions })
    const head: SampleHead = {
      row: chunk.first + i,
      id: chunk.idAt(i),
      view: chunk.columns.view?.[i] ?? 0,
      label: positions === 1 && chunk.labels[i]! >= 0 ? chunk.labels[i]! : null,
      top: teacher.top(target),
      confidence: 0,
      student: null,
      preview: null,
    }
    if (!isWanted(head, only === 'wrong' ? query : classes)) continue
    soften ??= teacher.soften(1)
    head.confidence = soften(target).top
    if (only !== 'uncertain' || isWanted(head, query)) heads.push(head)
  }
  if (student) {
    const rows = heads.map(({ row }) => row - chunk.first)
    const logits = await student.ask(sources.inputs, { chunk, rows })
    heads.forEach((head, n) => {
      const at = shownPosition(chunk, { row: rows[n]!, positions })
      const own = logits[n]?.subarray(at * targets.classes, (at + 1) * targets.classes)
      head.student = own ? argmax(own) : null
    })
  }
  const wanted = heads.filter((head) => isWanted(head, query)).slice(0, most)
  return back ? wanted.reverse() : wanted
}

/** Of a sequence the last valid position is shown first: what comes next, to a language model. */
function shownPosition({ columns }: Chunk, { row, positions }: { row: number; positions: number }): number {
  return positions === 1 ? 0 : Math.max(0, columns.length![row]! - 1)
}

/** @returns null where there is no such row */
export async function readSample(
  sources: SampleSources,
  { row, position }: { row: number; position?: number | undefined },
  signal: AbortSignal,
): Promise<Sample | null> {
  const { targets, inputs } = sources
  const { manifest, classes } = targets
  if (row >= targets.rows) return null
  const chunk = await readOne(targets, row, signal)
  const [head] = await readHeads(sources, { chunk, query: {}, most: 1 })
  const { positions = 1 } = manifest
  const valid = positions === 1 ? 1 : chunk.columns.length![0]!
  const at = position ?? shownPosition(chunk, { row: 0, positions })
  if (at >= Math.max(1, valid))
    throw new DecantError(`row ${row} has ${valid} positions, counted from 0: ${at} is none`)
  const teacher = readTeacher(chunk, manifest)
  const { index, logits } = teacher.known(at)
  const [student] = (await sources.student?.ask(inputs, { chunk, rows: [0] })) ?? []
  const [values = null] = (await inputs?.read(chunk, [0])) ?? []
  const tails = TEMPERATURES.map((temperature) => teacher.logTail(temperature)?.[at])
  return {
    ...head!,
    top: teacher.top(at),
    confidence: teacher.soften(1)(at).top,
    preview: await preview(values, sources),
    position: positions === 1 ? null : at,
    positions: valid,
    index: Array.from(index ?? logits.keys()),
    logits: Array.from(logits),
    tail: tails.every((tail) => tail !== undefined) ? tails.map((tail) => Math.max(NOTHING, tail!)) : null,
    studentLogits: student ? Array.from(student.subarray(at * classes, (at + 1) * classes)) : null,
    text: values && inputs!.input.kind === 'tokens' ? await textOf(values, sources.toText) : null,
    features: values && inputs!.input.kind === 'features' ? Array.from(values) : null,
    image: values !== null && isPicture(inputs!),
  }
}

/** PNG of a row's picture, of at most `most` pixels in width and height; null where there is none. */
export async function readImage(
  { targets, inputs }: SampleSources,
  row: number,
  { most, signal }: { most?: number; signal: AbortSignal },
): Promise<Uint8Array | null> {
  if (!inputs || !isPicture(inputs) || row >= targets.rows) return null
  const chunk = await readOne(targets, row, signal)
  const [values] = await inputs.read(chunk, [0])
  if (!values) return null
  const [height, width, channels] = inputs.input.shape as [number, number, 1 | 3]
  const { default: sharp } = await import('sharp')
  const { color } = (targets.manifest.preprocess ?? {}) as Partial<Preprocess>
  const pixels = color === 'bgr' ? swapRedBlue(values as Uint8Array) : (values as Uint8Array)
  const picture = sharp(pixels, { raw: { width, height, channels } })
  if (most !== undefined) picture.resize(most, most, { fit: 'inside', withoutEnlargement: true })
  return picture.png({ compressionLevel: 6 }).toBuffer()
}

async function readOne(targets: Targets, row: number, signal: AbortSignal): Promise<Chunk> {
  for await (const chunk of targets.chunks({ from: row, to: row + 1, rows: 1, signal })) return chunk
  throw new DecantError(`${targets.dir}: row ${row} could not be read`)
}

async function preview(values: Inputs | null, { inputs, toText }: SampleSources): Promise<string | null> {
  if (!values || inputs?.input.kind === 'image') return null
  if (inputs?.input.kind === 'tokens') return [...(await textOf(values, toText))].slice(0, PREVIEW).join('')
  return Array.from(values.subarray(0, PREVIEWED_FEATURES), (value) => Number(value.toPrecision(4))).join(', ')
}
