/**
 * Teachers that exporters of others really wrote, each exported by decant as a user does, and held against what Python's ONNX Runtime says
 * of the same rows: right, refused with a line, or WRONG, which is exit code 1. All of them: the table goes into docs/teachers.md.
 *
 *     python3 -m venv .venv && .venv/bin/pip install -r scripts/prove/requirements.txt
 *     DECANT_PYTHON=.venv/bin/python npm run prove:teachers [-- --only pattern] [--ci] [--made]
 *
 * --only: teachers whose "exporter: title" matches. --ci: the few that CI runs. --made: those in runs/prove as they are.
 */
import { execFileSync } from 'node:child_process'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import pLimit from 'p-limit'
import type { Entry } from './case.js'
import { type Result, runCase } from './run-case.js'
import { renderSummary, renderTable, updateDocs } from './table.js'

const { values } = parseArgs({
  options: {
    only: { type: 'string', default: '' },
    ci: { type: 'boolean', default: false },
    made: { type: 'boolean', default: false },
    cases: { type: 'string', default: 'runs/prove' },
  },
})
const cases = resolve(values.cases)
const root = resolve(import.meta.dirname, '../..')
const python = process.env.DECANT_PYTHON ?? 'python3'
const began = performance.now()

execFileSync('npx', ['tsdown', '--config-loader', 'unrun', '--no-dts', '--logLevel', 'error'], {
  cwd: root,
  stdio: ['ignore', 'ignore', 'inherit'],
})
const decant = [process.execPath, join(root, 'dist/cli/main.js')]

await mkdir(cases, { recursive: true })
if (!values.made) {
  const make = join(root, 'scripts/prove/teachers/make.py')
  const which = ['--only', values.only, ...(values.ci ? ['--ci'] : [])]
  execFileSync(python, [make, cases, ...which], { stdio: 'inherit' })
}
const list = JSON.parse(await readFile(join(cases, 'cases.json'), 'utf8')) as {
  cases: Entry[]
  versions: Record<string, string>
}
const pattern = new RegExp(values.only, 'i')
const wanted = list.cases.filter(({ exporter, title }) => pattern.test(`${exporter}: ${title}`))
const limit = pLimit(2)
const results: Result[] = await Promise.all(
  wanted.map((entry) =>
    limit(async () => {
      const result = await runCase(entry, cases, decant)
      console.log(`${result.verdict.padEnd(15)} ${entry.exporter}: ${entry.title}${result.line && `: ${result.line}`}`)
      return result
    }),
  ),
)
await writeFile(
  join(cases, 'results.json'),
  JSON.stringify(
    results.map(({ facts: _, ...rest }) => rest),
    null,
    1,
  ),
)
const table = renderTable(results, list.versions, new Date())
await writeFile(join(cases, 'table.md'), table)
console.log(renderSummary(results, (performance.now() - began) / 1000))
if (!values.ci && values.only === '') {
  const docs = join(root, 'docs/teachers.md')
  await updateDocs(docs, table)
  execFileSync('npx', ['biome', 'format', '--write', docs], { cwd: root, stdio: 'inherit' })
}
process.exitCode = results.some(({ verdict }) => verdict === 'WRONG' || verdict === 'CRASHED') ? 1 : 0
