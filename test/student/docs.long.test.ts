import { readFile, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { beforeAll, describe, expect, it } from 'vitest'
import { convertTargets } from '../../src/cache/index.js'
import { methodNames } from '../../src/cli/commands/student-options.js'
import { withViews } from '../../src/source/index.js'
import { methods } from '../../src/student/method.js'
import { exportTargets } from '../../src/teacher/index.js'
import { runCommand } from '../cli/output.js'
import { writeLinearTeacher } from '../helpers/teachers.js'
import { makeExample, temporaryFolder } from './fixtures.js'

const read = (file: string) => readFile(join(import.meta.dirname, '../../docs', file), 'utf8')
const text = await read('methods.md')
const examples = text.split('\n').flatMap((line) => /^ {4}decant train (.*)$/.exec(line)?.[1] ?? [])
const chains = text.split('\n').flatMap((line) => /^ {4}decant chain targets (.*) --out \S+$/.exec(line)?.[1] ?? [])

const dirs: Record<string, string> = {}
beforeAll(async () => {
  const { dir, source } = await makeExample(64)
  dirs.targets = join(dir, 'targets')
  dirs.views = join(dir, 'views')
  dirs.sampled = join(dir, 'sampled')
  await convertTargets(dirs.targets, { out: dirs.sampled, codec: 'sampled:2' })
  const teacher = join(dir, 'teacher.onnx')
  writeLinearTeacher(teacher, { side: 6, classes: 3 })
  await exportTargets({ source: withViews(source, { count: 2, augment: 'crop:1,flip' }), teacher, out: dirs.views })
})

/** The first module of a document, as a file; what it imports of tfjs is found from here. */
async function moduleOf(text: string): Promise<string> {
  const [, code] = /```ts\n(.*?)```/s.exec(text)!
  const path = join(await temporaryFolder(), 'mine.ts')
  const resolve = (name: string) => pathToFileURL(createRequire(import.meta.url).resolve(name)).href
  await writeFile(path, code!.replace(/(?<=')@tensorflow\/[a-z-]+(?=')/g, resolve))
  return path
}

const train = ([dir, ...flags]: string[]) =>
  runCommand('train', dirs[dir!]!, '--student', 'linear', ...flags, '--epochs', '2', '--batch', '32')

describe('docs/methods.md', () => {
  it.each(methods.map((method) => [method.name, method] as const))('has %s with its defaults', (name, method) => {
    const row = text.split('\n').find((line) => line.startsWith(`| \`${name}\` `))!
    const defaults = Object.entries(method.parameters).map(
      ([key, value]) => `${key === 'temperature' ? 'T' : key} ${value}`,
    )
    expect(row.split(/(?<!\\)\|/)[3]!.trim()).toBe(defaults.join(', '))
    const needs = { dense: ['all classes'], buckets: ['buckets'], draws: ['draws'] }[String(method.needs.teacher)] ?? []
    const { labels, student, partner, input } = method.needs
    if (labels) needs.push('labels')
    if (student === 'stages') needs.push('stages')
    if (partner === 'view') needs.push('views')
    if (input) needs.push(input)
    expect(row.split(/(?<!\\)\|/)[4]!.trim()).toBe(needs.join(', '))
    expect(examples.some((example) => example.split(' ').slice(1, 3).join(' ') === `--method ${name}`)).toBe(true)
  })

  it.each(examples)('decant train %s', async (flags) => {
    expect((await train(flags.split(' '))).out).toMatch(/trained in/)
  })

  it('shows chains', () => {
    expect(chains).toHaveLength(3)
  })

  it.each(chains)('decant chain targets %s', async (flags) => {
    const more = ['--epochs', '1', '--batch', '32', '--out', await temporaryFolder()]
    expect((await runCommand('chain', dirs.targets!, ...flags.split(' '), ...more)).out).toMatch(/1\. .*\n2\. /)
  })

  it("shows a method of the user's own that trains", async () => {
    const flags = ['--method', await moduleOf(text), '--set', 'power=2']
    expect((await train(['targets', ...flags])).out).toMatch(/trained in/)
  })
})

it("docs/students.md shows a student of the user's own, who is the same each time", async () => {
  const student = await moduleOf(await read('students.md'))
  const shown = async () => (await train(['targets', '--student', student])).out.replace(/in \d.*/, '')
  const first = await shown()
  expect(first).toMatch(/accuracy .*agreement/)
  expect(await shown()).toBe(first)
})

it('the help names every method', () => {
  expect(methodNames.split(', ')).toEqual(methods.map(({ name }) => name))
})
