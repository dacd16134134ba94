import { basename, join } from 'node:path'
import { codecOf, openTargets, type Targets, viewsOf } from '../cache/index.js'
import { JOURNAL } from '../cache/journal.js'
import { DecantError } from '../errors.js'
import { openSource, parsePreprocess, parseSourceOptions, type Source } from '../source/index.js'
import type { Classes, Live, Section, TargetsFacts, What } from './api.js'
import { createClasses } from './classes.js'
import { followExport, followStudents } from './live.js'
import { pickRows, readStretches } from './pick-rows.js'
import { isPicture, type RowInputs, sourceRowInputs, storedRowInputs } from './row-inputs.js'
import type { SampleSources } from './samples.js'
import { openStudent } from './student.js'
import { exists, findStudents, type StudentsFolder } from './students.js'

export interface SubjectOptions {
  /** A soft-target dataset (folder or URI), an unfinished export, a sweep's folder, a student's. */
  place: string
  /** Of a sweep or a student: the targets to see them with. */
  targets?: string | undefined
  /** Of a dataset: a student's folder, to see where it disagrees. */
  student?: string | undefined
  /** Where the samples are; false: they are not opened. Default: the manifest's own path, of datasets in a folder. */
  source?: string | false | undefined
  /** A remark: what is at hand and what isn't. */
  onNote?: (text: string) => void
}

/** What is looked at, open. */
export interface Subject {
  what: What
  samples: SampleSources | null
  classes: ((temperature: number) => Promise<Classes>) | null
  students: StudentsFolder | null
  live: (() => Promise<Live>) | null
  /** Whether it should be opened again: an export that has ended is a dataset now. */
  stale(): Promise<boolean>
  close(): Promise<void>
}

/** @throws DecantError where there is nothing that can be looked at */
export async function openSubject(options: SubjectOptions, signal: AbortSignal): Promise<Subject> {
  const { place, onNote = () => {} } = options
  const students = isRemote(place) ? undefined : await findStudents(place)
  if (
    !students &&
    !isRemote(place) &&
    !(await exists(join(place, 'manifest.json'))) &&
    (await exists(join(place, JOURNAL)))
  )
    return openExport(place)
  const dataset = students ? options.targets : place
  if (students && dataset === undefined) return openAlone(students)
  if (dataset === undefined) throw new DecantError(`${place}: nothing to look at`)
  const targets = await openTargets(dataset)
  try {
    const inputs = await openRowInputs({ targets, place: dataset, source: options.source, onNote })
    const dir = students ? (students.kind === 'student' ? students.dir : undefined) : options.student
    const shown = students ?? (dir === undefined ? undefined : await findStudents(dir))
    const whole = dir !== undefined && (await exists(join(dir, 'student.json')))
    const student = whole && inputs ? await openStudent(dir, targets.classes) : null
    if (whole && !inputs) onNote(`${dir}: the student cannot be asked: its inputs are not at hand`)
    const labelled = await isLabelled(targets, signal)
    const live = shown && !whole ? followStudents(shown) : null
    const sections: Section[] = [
      'overview',
      'samples',
      'classes',
      ...(shown ? ['students' as const] : []),
      ...(live ? ['live' as const] : []),
    ]
    return {
      what: {
        title: titleOf(place),
        place: withoutCredentials(place),
        sections,
        targets: factsOf(targets, { labelled, inputs: inputs?.rows ?? null }),
        student: student?.name ?? null,
        live: live !== null && !(await live()).done,
      },
      samples: { targets, inputs: inputs?.rows ?? null, student, toText: null },
      classes: createClasses({ targets, labelled, signal }),
      students: shown ?? null,
      live,
      stale: async () => false,
      async close() {
        await student?.close()
        await inputs?.close()
        await targets.close()
      },
    }
  } catch (error) {
    await targets.close()
    throw error
  }
}

const nothing = { samples: null, classes: null, close: async () => {} }

async function openAlone(students: StudentsFolder): Promise<Subject> {
  const live = followStudents(students)
  const running = !(await live()).done
  return {
    ...nothing,
    what: {
      title: titleOf(students.dir),
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
    what: { title: titleOf(dir), place: dir, sections: ['live'], targets: null, student: null, live: true },
    students: null,
    live: followExport(dir),
    stale: () => exists(join(dir, 'manifest.json')),
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
  if (uri === undefined && manifest.inputs) return { rows: storedRowInputs(manifest.inputs), close: async () => {} }
  // A manifest that comes from elsewhere must not say which files of this machine are opened.
  if (uri === undefined && isRemote(place)) {
    onNote(`the samples of ${withoutCredentials(place)} are not stored in it: say with --source where they are`)
    return null
  }
  let source: Source | undefined
  try {
    const preprocess = parsePreprocess(
      manifest.preprocess ?? { version: 1 },
      `${targets.dir}/manifest.json: preprocess`,
    )
    const { files, ...rest } = parseSourceOptions(
      manifest.source.options,
      `${targets.dir}/manifest.json: source.options`,
    )
    source = await openSource(uri ?? files ?? manifest.source.uri, { ...rest, preprocess })
    const opened = source
    return { rows: sourceRowInputs(targets, opened), close: () => opened.close() }
  } catch (error) {
    await source?.close()
    if (uri !== undefined || !(error instanceof DecantError)) throw error
    onNote(`the samples cannot be shown: ${error.message}; say with --source where they are`)
    return null
  }
}

/** Whether a row has a label, of a few that are looked at. */
async function isLabelled(targets: Targets, signal: AbortSignal): Promise<boolean> {
  if (targets.manifest.positions) return false
  for await (const { labels } of readStretches(targets, pickRows(targets.rows, 64), signal))
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

export const isRemote = (place: string): boolean => /^[a-z][a-z0-9+.-]+:\/\//i.test(place)

/** Neither a URI's user nor its query, which may be signed, is shown. */
export function withoutCredentials(place: string): string {
  return isRemote(place) ? place.replace(/^([^/]+:\/\/)[^/@]*@/, '$1').replace(/\?[^#]*/, '') : place
}

const titleOf = (place: string): string =>
  withoutCredentials(place)
    .replace(/[#].*$/, '')
    .split(/[\\/]/)
    .filter((part) => part !== '' && part !== '.')
    .at(-1) ?? place
