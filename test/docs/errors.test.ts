import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'

const source = readdirSync('src', { recursive: true, encoding: 'utf8' })
  .filter((file) => file.endsWith('.ts'))
  .map((file) => readFileSync(join('src', file), 'utf8').replaceAll("\\'", "'").replace(/\s+/g, ' '))

const quoted = [...readFileSync('docs/errors.md', 'utf8').matchAll(/^###.*`([^`]+)`$/gm)].map((match) => match[1]!)

it.each(quoted)('a message has: %s', (quote) => {
  const parts = quote
    .split('…')
    .map((part) => part.trim())
    .filter(Boolean)
  const near = source.some((text) => {
    const starts = [...text.matchAll(new RegExp(parts[0]!.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'), 'g'))]
    return starts.some(({ index }) => {
      const rest = text.slice(index, index + 400)
      return parts.every((part) => rest.includes(part))
    })
  })
  expect(near, quote).toBe(true)
})

it('there are quotes', () => {
  expect(quoted.length).toBeGreaterThan(15)
})
