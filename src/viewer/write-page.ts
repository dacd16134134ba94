import { replaceFile } from '../cache/files.js'
import { DecantError } from '../errors.js'
import { createAnswers } from './answers.js'
import type { Sample, SampleHead, SampleQuery, Samples, What } from './api.js'
import { type PageBundle, readBundle, writeAsOneFile } from './bundle.js'
import { pickRows } from './pick-rows.js'
import { findSamples, readImage, type SampleSources } from './samples.js'
import { openSubject, type SubjectOptions } from './subject.js'

export interface WritePageOptions extends SubjectOptions {
  /** The file that is written. */
  path: string
  /** Samples in it, about: half of them random ones, the others wrong, uncertain or disagreed on. Default 60. */
  samples?: number | undefined
  bundle?: PageBundle
}

/** What is in a page that was written as one file. */
export interface WrittenPage {
  bytes: number
  samples: number
}

/** Of the similarity map: 4.7 MB, at all temperatures. */
const MAX_CLASSES = 200
/** Bytes of the samples' answers, pictures among them. */
const SAMPLES_BYTES = 8 * 2 ** 20
/** Pictures are made at most so large, in pixels. */
const PICTURE = 128

/**
 * Writes the page with its answers inside, as one file that asks for nothing: what it says as a whole, the similarity map
 * and some samples. No path of this machine is in it.
 * @throws DecantError where there is nothing to show yet
 */
export async function writePage(options: WritePageOptions, signal: AbortSignal): Promise<WrittenPage> {
  const bundle = options.bundle ?? (await readBundle())
  const subject = await openSubject({ ...options, mostClasses: MAX_CLASSES }, signal)
  try {
    const answer = createAnswers(subject)
    const ask = async (path: string) => {
      const [place, query] = path.split('?')
      const found = await answer(place!, new URLSearchParams(query), signal)
      return 'json' in found ? found.json : null
    }
    const sections = subject.what.sections.filter((section) => section !== 'live')
    if (sections.length === 0) throw new DecantError(`${options.place}: there is nothing to write yet: it still runs`)
    const what: What = { ...subject.what, place: subject.what.title, live: false, sections }
    const all: Record<string, unknown> = { '/api/what': what }
    if (subject.students) all['/api/students'] = await ask('/api/students')
    let samples = 0
    if (subject.samples) {
      all['/api/overview'] = await ask('/api/overview')
      all['/api/classes'] = await ask('/api/classes')
      const some = await someSamples(subject.samples, { most: options.samples ?? 60, ask, signal })
      samples = (some['/api/samples'] as Samples).samples.length
      Object.assign(all, some)
    }
    const page = writeAsOneFile(bundle, all)
    await replaceFile(options.path, page)
    return { bytes: Buffer.byteLength(page), samples }
  } finally {
    await subject.close()
  }
}

/** Answers of as many samples as there is room for. */
async function someSamples(
  sources: SampleSources,
  { most, ask, signal }: { most: number; ask: (path: string) => Promise<unknown>; signal: AbortSignal },
): Promise<Record<string, unknown>> {
  const answers: Record<string, unknown> = {}
  const shown: SampleHead[] = []
  let left = SAMPLES_BYTES
  for (const head of await chooseSamples(sources, most, signal)) {
    const own = await answersOf(sources, { row: head.row, ask, signal })
    left -= JSON.stringify(own).length
    if (left < 0) break
    Object.assign(answers, own)
    shown.push(head)
  }
  shown.sort((a, b) => a.row - b.row)
  const list: Samples = { samples: shown, next: null, previous: null, scanned: sources.targets.rows }
  return { '/api/samples': list, ...answers }
}

/** Half of them at random, the others those that a filter finds, taken in turns: where there is no room for all, some of each are there. */
async function chooseSamples(sources: SampleSources, most: number, signal: AbortSignal): Promise<SampleHead[]> {
  const { targets, student } = sources
  const filters: SampleQuery['only'][] = ['wrong', 'uncertain', ...(student ? ['disagree' as const] : [])]
  const each = Math.ceil(most / 2 / filters.length)
  const lists: SampleHead[][] = []
  for (const only of filters)
    lists.push((await findSamples(sources, { ...(only && { only }), limit: each }, signal)).samples)
  const random: SampleHead[] = []
  for (const { from, to } of pickRows(targets.rows, Math.ceil(most / 2)))
    random.push(...(await findSamples(sources, { from, limit: to - from }, signal)).samples)
  const chosen = new Map<number, SampleHead>()
  for (let i = 0; i < random.length || i < each; i++)
    for (const head of [random[i], ...lists.map((list) => list[i])]) if (head) chosen.set(head.row, head)
  return [...chosen.values()]
}

/** What the page asks for of one sample: of a sequence, every position. */
async function answersOf(
  sources: SampleSources,
  { row, ask, signal }: { row: number; ask: (path: string) => Promise<unknown>; signal: AbortSignal },
): Promise<Record<string, unknown>> {
  const path = `/api/samples/${row}`
  const sample = (await ask(path)) as Sample
  const answers: Record<string, unknown> = { [path]: sample }
  if (sample.position !== null)
    for (let at = 0; at < sample.positions; at++)
      answers[`${path}?position=${at}`] = await ask(`${path}?position=${at}`)
  if (sample.image) {
    const png = await readImage(sources, row, { signal, most: PICTURE })
    answers[`${path}/image`] = `data:image/png;base64,${Buffer.from(png!).toString('base64')}`
  }
  return answers
}
