import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { beforeAll, describe, expect, it } from 'vitest'
import { methodNames } from '../../src/cli/commands/student-options.js'
import { methods } from '../../src/student/method.js'
import { runCommand } from '../cli/output.js'
import { makeExample, temporaryFolder } from './fixtures.js'

const text = await readFile(join(import.meta.dirname, '../../docs/methods.md'), 'utf8')
const examples = text.split('\n').flatMap((line) => /^ {4}decant train targets (.*)$/.exec(line)?.[1] ?? [])

let targets: string
beforeAll(async () => {
  targets = join((await makeExample(64)).dir, 'targets')
})

const train = (flags: string[]) =>
  runCommand('train', targets, ...flags, '--student', 'linear', '--epochs', '2', '--batch', '32')

describe('docs/methods.md', () => {
  it.each(methods.map((method) => [method.name, method] as const))('has %s with its defaults', (name, method) => {
    const row = text.split('\n').find((line) => line.startsWith(`| \`${name}\` `))!
    const defaults = Object.entries(method.parameters).map(
      ([key, value]) => `${key === 'temperature' ? 'T' : key} ${value}`,
    )
    expect(row.split(/(?<!\\)\|/)[3]!.trim()).toBe(defaults.join(', '))
    const needs = { dense: ['all classes'], buckets: ['buckets'] }[String(method.needs.teacher)] ?? []
    expect(row.split(/(?<!\\)\|/)[4]!.trim()).toBe([...needs, ...(method.needs.labels ? ['labels'] : [])].join(', '))
    expect(examples.some((flags) => flags.startsWith(`--method ${name}`))).toBe(true)
  })

  it.each(examples)('decant train targets %s', async (flags) => {
    expect((await train(flags.split(' '))).out).toMatch(/trained in/)
  })

  it("shows a method of the user's own that trains", async () => {
    const tfjs = pathToFileURL(
      join(import.meta.dirname, '../../node_modules/@tensorflow/tfjs-core/dist/tf-core.node.js'),
    )
    const [, code] = /```ts\n(.*?)```/s.exec(text)!
    const path = join(await temporaryFolder(), 'my-method.ts')
    await writeFile(path, code!.replace("'@tensorflow/tfjs-core'", `'${tfjs.href}'`))
    expect((await train(['--method', path, '--set', 'power=2'])).out).toMatch(/trained in/)
  })
})

it('the help names every method', () => {
  expect(methodNames.split(', ')).toEqual(methods.map(({ name }) => name))
})
