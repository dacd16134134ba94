import { join } from 'node:path'
import { makeFolder } from '../cache/files.js'
import { openTargets, type Targets } from '../cache/index.js'
import { withLock } from '../cache/lock.js'
import type { Engine } from '../engine/engine.js'
import { DecantError } from '../errors.js'
import { type Source, withViews } from '../source/index.js'
import { type Metrics, type StudentConfig, type TrainEvent, trainStudent } from '../student/index.js'
import { type ExportEvent, exportTargets } from '../teacher/index.js'

export interface ChainOptions {
  /** What the first link learns from. */
  targets: Targets
  /** The source that the targets are of, opened with the manifest's preprocessing. */
  source: Source
  /** What every link is measured on. */
  evaluate?: { targets: Targets; source?: Source | undefined }
  /** The students, one after another: each but the first learns from what the one before says of the source. */
  links: Partial<StudentConfig>[]
  engine: Engine
  /** Folder: 1/student, 1/targets, 2/student, …; what is finished in it is not made again. */
  out: string
  signal?: AbortSignal
  onEvent?: (event: ChainEvent) => void
}

export type ChainEvent = { link: number } & (TrainEvent | ExportEvent)

export interface Link {
  /** 1, 2, … */
  link: number
  student: string
  method: string
  parameters: number
  metrics: Metrics | null
  measuredOn: 'evaluation' | 'held-out rows' | 'nothing'
  /** The student's folder. */
  out: string
}

/** Rows a call of a link's teacher: given, so that the same chain has the same bytes on every run. */
const BATCH = 250

/**
 * Students that learn from each other, each link an ordinary student and an ordinary cache: a teacher's assistant (Mirzadeh et al. 2020), or
 * generations of one student (Furlanello et al. 2018, born-again networks), the first of which learns from labels or from the teacher.
 * Stopped or killed, the same call goes on.
 * @throws DecantError where the targets are not of the source as it is, or another process writes to `out`; what `trainStudent` and `exportTargets` throw
 */
export async function trainChain(options: ChainOptions): Promise<Link[]> {
  const { out } = options
  const { manifest, dir } = options.targets
  if (manifest.derived) {
    throw new DecantError(
      `${dir}: a chain exports each student's targets from the source: expected targets of an export`,
    )
  }
  await makeFolder(out)
  return withLock(out, () => trainLinks(options))
}

async function trainLinks(options: ChainOptions): Promise<Link[]> {
  const { source, links, engine, out, signal, onEvent = () => {} } = options
  const { evaluate } = options
  const { manifest } = options.targets
  const found: Link[] = []
  let targets = options.targets
  for (const [i, config] of links.entries()) {
    const link = i + 1
    const folder = join(out, String(link))
    try {
      const { model, ...student } = await trainStudent({
        ...config,
        ...{ targets, source, engine, out: join(folder, 'student') },
        ...(evaluate && { evaluate }),
        ...(signal && { signal }),
        onEvent: (event) => onEvent({ link, ...event }),
      })
      model.dispose()
      const { parameters, metrics, measuredOn, provenance } = student
      const { student: form, method } = provenance.config
      found.push({ link, student: form, method, parameters, metrics, measuredOn, out: join(folder, 'student') })
    } finally {
      if (targets !== options.targets) await targets.close()
    }
    if (link === links.length) break
    const { views, license } = manifest
    const said: Source = { ...source, preprocess: { version: 1, ...source.preprocess, layout: 'NHWC' } } // as students take images
    const skips = manifest.source.skipped.length > 0
    await exportTargets({
      source: views === 1 ? said : viewsOf(said, views),
      teacher: join(folder, 'student', 'student.onnx'),
      out: join(folder, 'targets'),
      batch: BATCH * (views === 1 ? 1 : views.count),
      ...(license && { license }),
      ...(manifest.source.range && { range: manifest.source.range }),
      ...(skips && { onError: 'skip' }),
      ...(signal && { signal }),
      onEvent: (event) => onEvent({ link, ...event }),
    })
    targets = await openTargets(join(folder, 'targets'))
  }
  return found
}

/** The same views of the samples as the first targets have. */
function viewsOf(source: Source, { count, augment, seed }: Exclude<Targets['manifest']['views'], 1>): Source {
  return withViews(source, { count, augment: String((augment as { list: unknown }).list), seed })
}
