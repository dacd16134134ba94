import { basename, join } from 'node:path'
import { MANIFEST } from '../cache/folder.js'
import { codecOf, type Targets, viewsOf } from '../cache/index.js'
import { JOURNAL } from '../cache/journal.js'
import { DecantError, MismatchError } from '../errors.js'
import { openDataset } from '../share/open-dataset.js'
import { formatPlace, isRemote, nameOf, parsePlace } from '../share/uri.js'
import { type Detokenizer, openDetokenizer, parsePreprocess, reopenSource, type Source } from '../source/index.js'
import type { Classes, Live, Overview, Section, TargetsFacts, What } from './api.js'
import { createClasses, MAX_CLASSES } from './classes.js'
import { followExport, followStudents } from './live.js'
import { once } from './once.js'
import { summarize } from './overview.js'
import { LOCAL, pickRows, REMOTE, type Reach, readStretches } from './pick-rows.js'
import { isPicture, type RowInputs, sourceRowInputs, storedRowInputs } from './row-inputs.js'
import type { SampleSources } from './samples.js'
import { openStudent } from './student.js'
import { exists, findBest, findStudents, type StudentsFolder } from './students.js'

export interface SubjectOptions {
  /** A soft-target dataset (folder or URI), an unfinished export, a sweep's folder, a student's. */
  place: string
  /** Of a sweep or a student: the targets to see them with. */
  targets?: string | undefined
  /** Of a dataset: a student's folder, to see where it disagrees. */
  student?: string | undefined
  /** Where the samples are; false: they are not opened. Default: the manifest's own path, of datasets in a folder. */
  source?: string | false | undefined
  /** Classes that the similarity map has at most; default 1000. */
  mostClasses?: number
  /** A remark: what is at hand and what isn't. */
  onNote?: (text: string) => void
}

/** What is looked at, open. */
export interface Subject {
  what: What
  samples: SampleSources | null
  overview: (() => Promise<Overview>) | null
  classes: (() => Promise<Classes>) | null
  students: StudentsFolder | null
  live: (() => Promise<Live>) | null
  /** Whether it should be opened again: an export that has ended is a dataset now. */
  stale(): Promise<boolean>
  close(): Promise<void>
}

/** @throws DecantError where there is nothing that can be looked at */
export async function openSubject(options: SubjectOptions, signal: AbortSignal): Promise<Subject> {
  const { place, onNote = () => {} } = options
  const folder = folderOf(place)
  const students = folder === undefined ? undefined : await findStudents(folder)
  if (folder !== undefined && !students && (await isUnfinished(folder))) return openExport(folder)
  const dataset = students ? options.targets : place
  if (students && dataset === undefined) return openAlone(students)
  if (dataset === undefined || (folder !== undefined && !students && !(await exists(join(folder, MANIFEST)))))
    throw new DecantError(
      `${place}: expected a soft-target dataset, an export, a sweep or a student, found ${(await exists(folder ?? place)) ? 'none of them' : 'no such folder'}`,
    )
  const targets = await openDataset(dataset, { signal })
  try {
    const inputs = await openRowInputs({ targets, place: dataset, source: options.source, onNote })
    const detokenizer = await openText(targets, { inputs: inputs?.rows ?? null, place: dataset, onNote })
    const shown = students ?? (options.student === undefined ? undefined : await findStudents(options.student))
    const single = shown?.kind === 'student'
    const dir = shown && (single ? shown.dir : await findBest(shown))
    const whole = dir !== undefined && (await exists(join(dir, 'student.json')))
    const student = whole && inputs ? await openStudent(dir, targets.classes) : null
    if (whole && !inputs) onNote(`${dir}: the student cannot be asked: its inputs are not at hand`)
    const reach = isRemote(dataset) ? REMOTE : LOCAL
    const labelled = await isLabelled(targets, reach, signal)
    const live = shown && !(single && whole) ? followStudents(shown) : null
    const sections: Section[] = [
      'overview',
      'samples',
      'classes',
      ...(shown ? ['students' as const] : []),
      ...(live ? ['live' as const] : []),
    ]
    return {
      what: {
        title: nameOf(parsePlace(place)),
        place: formatPlace(parsePlace(place)),
        sections,
        targets: factsOf(targets, { labelled, inputs: inputs?.rows ?? null }),
        student: student && (single ? student.name : basename(dir!)),
        live: live !== null && !(await live()).done,
      },
      samples: {
        targets,
        inputs: inputs?.rows ?? null,
        student,
        toText: detokenizer?.toText ?? null,
      },
      overview: once(() => summarize(targets, signal, { reach })),
      classes: createClasses({ targets, labelled, most: options.mostClasses ?? MAX_CLASSES, reach, signal }),
      students: shown ?? null,
      live,
      stale: async () => false,
      async close() {
        await student?.close()
        detokenizer?.close()
        await inputs?.close()
        await targets.close()
      },
    }
  } catch (error) {
    await targets.close()
    throw error
  }
}

/** The folder that a place is; undefined for one elsewhere. */
const folderOf = (text: string): string | undefined => {
  const place = parsePlace(text)
  return place.kind === 'folder' ? place.path : undefined
}

const isUnfinished = async (dir: string): Promise<boolean> =>
  !(await exists(join(dir, MANIFEST))) && (await exists(join(dir, JOURNAL)))

const nothing = { samples: null, overview: null, classes: null, close: async () => {} }

async function openAlone(students: StudentsFolder): Promise<Subject> {
  const live = followStudents(students)
  const running = !(await live()).done
  return {
    ...nothing,
    what: {
      title: nameOf(parsePlace(students.dir)),
      place: students.dir,
      sections: ['students', ...(running ? ['live' as const] : [])],
      targets: null,
      student: null,
      live: running,
    },
    students,
    live,
    stale: async () => false,
  }
}

function openExport(dir: string): Subject {
  return {
    ...nothing,
    what: { title: nameOf(parsePlace(dir)), place: dir, sections: ['live'], targets: null, student: null, live: true },
    students: null,
    live: followExport(dir),
    stale: () => exists(join(dir, MANIFEST)),
  }
}

async function openRowInputs(options: {
  targets: Targets
  place: string
  source: string | false | undefined
  onNote: (text: string) => void
}): Promise<{ rows: RowInputs; close(): Promise<void> } | null> {
  const { targets, place, source: uri, onNote } = options
  const { manifest } = targets
  if (uri === false) return null
  if (uri === undefined && manifest.inputs)
    return { rows: storedRowInputs(targets, manifest.inputs), close: async () => {} }
  // A manifest that comes from elsewhere must not say which files of this machine are opened.
  if (uri === undefined && isRemote(place)) {
    onNote(`the samples of ${formatPlace(parsePlace(place))} are not stored in it: say with --source where they are`)
    return null
  }
  let source: Source | undefined
  try {
    source = await reopenSource(manifest, { dir: targets.dir, uri, onNote })
    const opened = source
    return { rows: sourceRowInputs(targets, opened), close: () => opened.close() }
  } catch (error) {
    await source?.close()
    if (uri !== undefined || !(error instanceof DecantError)) throw error
    const advice = error instanceof MismatchError ? '' : '; say with --source where they are'
    onNote(`the samples cannot be shown: ${error.message}${advice}`)
    return null
  }
}

/** What turns tokens into text: the tokenizer that the manifest names, which is the one if its hash is. */
async function openText(
  targets: Targets,
  { inputs, place, onNote }: { inputs: RowInputs | null; place: string; onNote: (text: string) => void },
): Promise<Detokenizer | null> {
  if (inputs?.input.kind !== 'tokens' || isRemote(place)) return null
  const { text } = parsePreprocess(
    targets.manifest.preprocess ?? { version: 1 },
    `${targets.dir}/manifest.json: preprocess`,
  )
  if (text?.tokenizer === undefined) return null
  try {
    return await openDetokenizer({ ...text, tokenizer: text.tokenizer })
  } catch (error) {
    if (!(error instanceof DecantError)) throw error
    onNote(`tokens are shown by their numbers: ${error.message}`)
    return null
  }
}

/** Whether a row has a label, of a few that are looked at. */
async function isLabelled(targets: Targets, { places }: Reach, signal: AbortSignal): Promise<boolean> {
  if (targets.manifest.positions) return false
  for await (const { labels } of readStretches(targets, pickRows(targets.rows, 64, Math.min(64, places)), signal))
    if (labels.some((label) => label >= 0)) return true
  return false
}

function factsOf(
  targets: Targets,
  { labelled, inputs }: { labelled: boolean; inputs: RowInputs | null },
): TargetsFacts {
  const { manifest, rows, classes, names } = targets
  const { codec, teacher, positions = 1, license, shards } = manifest
  return {
    rows,
    classes,
    names: names ?? Array.from({ length: classes }, (_, c) => `class ${c}`),
    codec,
    kind: codecOf(codec).kind,
    positions,
    views: viewsOf(manifest),
    labelled,
    input: inputs && shownAs(inputs),
    teacher: { file: basename(teacher.file), sha256: teacher.sha256 },
    license,
    bytes: shards.reduce((sum, { bytes }) => sum + bytes, 0),
    manifest: targets.manifestSha256,
  }
}

function shownAs(inputs: RowInputs): TargetsFacts['input'] {
  const { kind } = inputs.input
  if (kind === 'image') return isPicture(inputs) ? 'image' : null
  return kind === 'tokens' ? 'text' : 'features'
}
