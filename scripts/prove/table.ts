import { readFile, writeFile } from 'node:fs/promises'
import { nameFault } from './faults.js'
import { converterError } from './judge.js'
import type { Result, Verdict } from './run-case.js'

const order: Verdict[] = ['right', 'right when told', 'refused', 'warned', 'WRONG', 'CRASHED', 'exporter fails']

/** Beyond this a converter's numbers are not its library's: rounding to float32 is less. */
const UNLIKE = 1e-3

function counts(results: readonly Result[]): string {
  const found = order.map(
    (verdict) => [results.filter((result) => result.verdict === verdict).length, verdict] as const,
  )
  return found.flatMap(([n, verdict]) => (n > 0 ? [`${n} ${verdict}`] : [])).join(', ')
}

/** How many teachers have which verdict; those that are wrong, and converters' errors that have no name yet, a line each. */
export function renderSummary(results: readonly Result[], seconds: number): string {
  const wrong = results.filter(({ verdict }) => ['WRONG', 'CRASHED', 'warned'].includes(verdict))
  const unnamed = results.flatMap(({ entry, facts }) => {
    const error = facts && converterError(facts)
    return error !== undefined && error > Math.max(UNLIKE, facts!.tolerance) && nameFault(entry) === undefined
      ? [`converter off by ${error.toPrecision(2)} from its library: ${entry.exporter}: ${entry.title}`]
      : []
  })
  return [
    ...unnamed,
    ...wrong.map(({ verdict, entry, line }) => `${verdict} ${entry.exporter}: ${entry.title}: ${line}`),
    `${results.length} teachers: ${counts(results)}; ${seconds.toFixed(0)} s`,
  ].join('\n')
}

interface Line {
  /** What is the same of the teachers that share a line. */
  key: string
  exporter: string
  teacher: string
  variants: string[]
  verdict: Verdict
  error: number | undefined
  library: number | undefined
  notes: string
}

/** Markdown: date, counts, versions, and a line each teacher; teachers that differ in their title's last words alone share one. */
export function renderTable(results: readonly Result[], versions: Record<string, string>, date: Date): string {
  const lines: Line[] = []
  for (const line of results.map(lineOf)) {
    const same = lines.find(({ key }) => key === line.key)
    if (!same) {
      lines.push(line)
      continue
    }
    same.variants.push(...line.variants)
    same.error = greater(same.error, line.error)
    same.library = greater(same.library, line.library)
  }
  return [
    `${date.toISOString().slice(0, 10)}, ${results.length} teachers: ${counts(results)}.`,
    `${Object.entries(versions)
      .map(([name, version]) => `${name} ${version}`)
      .join(', ')}.`,
    '',
    '| exporter | teacher | verdict | off by | library | how it is read, or why not |',
    '| --- | --- | --- | --- | --- | --- |',
    ...lines.map(renderLine),
  ].join('\n')
}

function lineOf({ entry, verdict, line, judgement }: Result): Line {
  const [, teacher = entry.title, variant] = /^(.*), ([^,]*)$/.exec(entry.title) ?? []
  const fault = nameFault(entry)
  const notes = [judgement?.read, line && clip(line), fault && `converter: ${fault}`].filter(Boolean).join('; ')
  return {
    key: [entry.exporter, teacher, verdict, notes].join('\n'),
    exporter: entry.exporter,
    teacher,
    variants: variant === undefined ? [] : [variant],
    verdict,
    error: judgement?.error,
    library: judgement?.library,
    notes,
  }
}

function renderLine({ exporter, teacher, variants, verdict, error, library, notes }: Line): string {
  const title = [teacher, ...variants].join(', ').replace('2 classes, 10 classes', '2 and 10 classes')
  const cells = [exporter, title, verdict, figure(error), figure(library), notes]
  return `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`
}

const greater = (a: number | undefined, b: number | undefined) => (a === undefined ? b : Math.max(a, b ?? a))
const figure = (value: number | undefined) => (value === undefined || Number.isNaN(value) ? '' : value.toExponential(0))
const clip = (text: string) => (text.length > 140 ? `${text.slice(0, 139)}…` : text)

const [begin, end] = ['<!-- prove:teachers -->', '<!-- /prove:teachers -->']

/** Puts the table between its two marks. */
export async function updateDocs(path: string, table: string): Promise<void> {
  const text = await readFile(path, 'utf8')
  const [from, to] = [text.indexOf(begin), text.indexOf(end)]
  if (from < 0 || to < from) throw new Error(`${path}: expected ${begin} and ${end}`)
  await writeFile(path, `${text.slice(0, from)}${begin}\n\n${table}\n\n${text.slice(to)}`)
}
