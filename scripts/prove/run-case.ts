import { execFile } from 'node:child_process'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { type Case, type Entry, readCase } from './case.js'
import { type Judgement, judge } from './judge.js'

export type Verdict =
  | 'right'
  /** Refused at first, with a line that says what to pass; right with that. */
  | 'right when told'
  | 'refused'
  /** Numbers or labels are off, and a line warned of it. */
  | 'warned'
  /** Numbers or labels are off, exit code 0 and not a word. */
  | 'WRONG'
  /** Neither exit code 0 nor 2. */
  | 'CRASHED'
  | 'exporter fails'

export interface Result {
  entry: Entry
  verdict: Verdict
  /** decant's line where it refused or warned, what is wrong, or what the exporter said. */
  line: string
  judgement?: Judgement
  facts?: Case
}

interface Ended {
  code: number
  stderr: string
}

/** Exports a case's dataset with decant's command line, as a user does, and judges what was written. `decant` is the command's words. */
export async function runCase(entry: Entry, cases: string, decant: readonly string[]): Promise<Result> {
  if (entry.error || entry.folder === undefined) return { entry, verdict: 'exporter fails', line: entry.error ?? '' }
  const facts = await readCase(join(cases, entry.folder))
  const first = await attempt(facts, [], decant)
  const again =
    first.verdict === 'refused' && facts.told.length > 0 ? await attempt(facts, facts.told, decant) : undefined
  if (again?.verdict === 'right') return { entry, facts, ...again, verdict: 'right when told', line: first.line }
  return { entry, facts, ...(again?.verdict === 'WRONG' ? again : first) }
}

async function attempt(facts: Case, told: readonly string[], decant: readonly string[]) {
  const out = join(facts.dir, 'targets')
  await rm(out, { recursive: true, force: true })
  const args = ['export', ...facts.args, '--teacher', 'teacher.onnx', '--codec', 'f32', '--out', 'targets', ...told]
  const { code, stderr } = await run([...decant, ...args], facts.dir)
  const lines = stderr.trim().split('\n')
  const said = lines.find((line) => line.startsWith('decant: '))?.slice('decant: '.length) ?? lines.at(-1) ?? ''
  if (code === 2) return { verdict: 'refused' as const, line: said }
  if (code !== 0) return { verdict: 'CRASHED' as const, line: `exit code ${code}: ${said}` }
  const judgement = await judge(facts, out)
  if (judgement.wrong === undefined) return { verdict: 'right' as const, line: '', judgement }
  const warning = lines.find((line) => /^warning: /i.test(line))
  return {
    verdict: warning ? ('warned' as const) : ('WRONG' as const),
    line: [judgement.wrong, warning].filter(Boolean).join('; '),
    judgement,
  }
}

async function run([file, ...args]: string[], cwd: string): Promise<Ended> {
  try {
    const { stderr } = await promisify(execFile)(file!, args, { cwd, timeout: 120_000 })
    return { code: 0, stderr }
  } catch (error) {
    const { code, stderr } = error as { code?: number | string; stderr?: string }
    if (typeof code !== 'number' && stderr === undefined) throw error
    return { code: typeof code === 'number' ? code : 1, stderr: stderr ?? '' }
  }
}
