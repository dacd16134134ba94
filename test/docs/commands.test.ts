import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { expect, it } from 'vitest'
import { parses } from '../cli/command-lines.js'
import { commandsOf } from '../helpers/markdown.js'

const documents = [
  'README.md',
  ...readdirSync('docs')
    .filter((name) => name.endsWith('.md'))
    .map((name) => `docs/${name}`),
]

it.each(documents)('%s calls decant only in ways that it takes', (path) => {
  for (const line of commandsOf(path)) expect(() => parses(line), line).not.toThrow()
})

it.each(documents)('%s links only to files that are there', (path) => {
  const links = [...readFileSync(path, 'utf8').matchAll(/\]\(([^)#:]+)(?:#[^)]*)?\)/g)].map(([, link]) => link!)
  expect(links.filter((link) => !existsSync(join(dirname(path), link)))).toEqual([])
})

it('finds the commands of a document', () => {
  expect(commandsOf('README.md').length).toBeGreaterThan(5)
})
