import { stat } from 'node:fs/promises'
import { Command } from 'commander'
import type { Lineage } from '../../cache/index.js'
import { DecantError } from '../../errors.js'
import { parseJson } from '../../json.js'
import { count, howFound } from '../format.js'
import { openTerminal } from '../terminal.js'

/** What student.onnx says of itself besides its dataset's lineage. */
interface StudentPart {
  file: string
  sha256: string
  config: unknown
}

export function lineageCommand(): Command {
  return new Command('lineage')
    .description(
      'print how a student or a soft-target dataset came to be: source → preprocessing → views → teacher → codec → student',
    )
    .argument('<path>', 'student.onnx, or the folder or URI of a soft-target dataset')
    .option('--json', 'one JSON object')
    .addHelpText('after', '\nExamples:\n  $ decant lineage student/student.onnx\n  $ decant lineage targets --json')
    .action(async (path: string, options: { json?: boolean }) => {
      const terminal = openTerminal({ json: options.json === true })
      const { lineage, student } = (await isStudent(path)) ? await ofStudent(path) : await ofDataset(path)
      terminal.event({ type: 'lineage', ...lineage, ...(student && { student }) } as { type: string })
      terminal.print(render(lineage, student))
    })
}

async function isStudent(path: string): Promise<boolean> {
  const { parsePlace } = await import('../../share/uri.js')
  const place = parsePlace(path)
  if (place.kind !== 'folder') return false
  const found = await stat(place.path).catch((error: NodeJS.ErrnoException) => {
    throw new DecantError(`${path}: cannot be read: ${error.code ?? error.message}`)
  })
  return found.isFile()
}

type Found = { lineage: Lineage; student?: StudentPart }

async function ofDataset(dir: string): Promise<Found> {
  const { lineageOf } = await import('../../cache/index.js')
  const { openDataset } = await import('../../share/open-dataset.js')
  const targets = await openDataset(dir)
  await targets.close()
  return { lineage: lineageOf(targets) }
}

async function ofStudent(path: string): Promise<Found> {
  const { describeModel, readModel } = await import('../../onnx/index.js')
  const model = await readModel(path)
  const { metadata } = describeModel(model)
  if (metadata.lineage === undefined)
    throw new DecantError(
      `${path}: no lineage in it: expected a student that decant saved${metadata.manifest ? `; it names the dataset ${metadata.manifest}` : ''}`,
    )
  try {
    const lineage = parseJson(metadata.lineage, 'lineage') as Lineage
    const config = parseJson(metadata.student ?? 'null', 'student')
    render(lineage, undefined) // a file of somebody else's may hold anything: what cannot be shown is refused here
    return { lineage, student: { file: path, sha256: model.sha256, config } }
  } catch (error) {
    throw new DecantError(`${path}: its lineage is not readable: ${(error as Error).message}`)
  }
}

function render(lineage: Lineage, student: StudentPart | undefined): string[] {
  const { source, preprocess, views, teacher, runtime, derived } = lineage
  const short = (sha256: string) => sha256.slice(0, 12)
  const rows = source.range
    ? `rows ${source.range.from} to ${source.range.to} of ${count(source.rows)}`
    : `${count(source.rows)} rows`
  const steps: [string, string][] = [
    [
      'source',
      `${source.uri} (${source.kind}), ${rows}, fingerprint ${short(source.fingerprint)}${source.skipped ? `, ${source.skipped} left out` : ''}`,
    ],
    ['preprocessing', preprocess ? JSON.stringify(preprocess) : 'none'],
    ['views', views === 1 ? 'none' : `${views.count} a sample, seed ${views.seed}: ${JSON.stringify(views.augment)}`],
    [
      'teacher',
      `${teacher.file} (${short(teacher.sha256)}), '${teacher.output}', ${howFound(teacher)}; ONNX Runtime ${runtime.onnxruntime} on ${runtime.provider}, ${runtime.precision}`,
    ],
    ...operations(derived),
    ['codec', `${lineage.codec}, ${count(lineage.rows)} rows of ${lineage.classes} classes`],
    [
      'dataset',
      `${lineage.manifest ?? `content ${lineage.content}`}${lineage.uri === undefined ? '' : `, ${lineage.uri}`}`,
    ],
    ...(student
      ? [
          [
            'student',
            `${student.file} (${short(student.sha256)})${student.config ? `, ${JSON.stringify(student.config)}` : ''}`,
          ] as [string, string],
        ]
      : []),
  ]
  return steps.map(([name, what], i) => `${i === 0 ? '  ' : '→ '}${name.padEnd(14)} ${what}`)
}

/** What was done to datasets since the export: each operation after those that made its parents, in the order of these. */
function operations(derived: Lineage['derived']): [string, string][] {
  if (!derived) return []
  const ancestors = new Map(derived.ancestors.map((ancestor) => [ancestor.manifest, ancestor]))
  const steps: Pick<typeof derived, 'operation' | 'options' | 'from'>[] = []
  const visit = (step: (typeof steps)[number]) => {
    for (const parent of step.from) {
      const own = ancestors.get(parent)?.derived
      ancestors.delete(parent) // once, however many were made of it
      if (own) visit(own)
    }
    steps.push(step)
  }
  visit(derived)
  return steps.map(({ operation, options, from }) => [
    operation,
    `${Object.keys(options).length > 0 ? `${JSON.stringify(options)} ` : ''}of ${from.map((sha256) => sha256.slice(0, 12)).join(', ')}`,
  ])
}
