import { readdirSync, readFileSync } from 'node:fs'
import { join, relative, resolve } from 'node:path'
import { describe, expect, it } from 'vitest'

/** Which folder may import which; the table of ARCHITECTURE.md. */
const arrows: Record<string, string[]> = {
  onnx: [],
  source: [],
  cache: [],
  teacher: ['source', 'cache', 'onnx'],
  engine: ['onnx'],
  student: ['source', 'cache', 'engine', 'onnx'],
  report: ['student', 'cache'],
  chain: ['source', 'cache', 'teacher', 'student', 'engine'],
  doctor: ['teacher', 'engine', 'onnx'],
  share: ['cache'],
  viewer: ['source', 'cache', 'student', 'report', 'share'],
  cli: ['chain', 'source', 'cache', 'teacher', 'student', 'engine', 'report', 'onnx', 'share', 'viewer', 'doctor'],
}
const anyone = ['errors', 'flatbuffer', 'input-file', 'json', 'random', 'telemetry', 'thread', 'version', 'wasm']

const src = resolve(import.meta.dirname, '../src')
const files = readdirSync(src, { recursive: true, encoding: 'utf8' }).filter((file) => /\.tsx?$/.test(file))
const folderOf = (path: string) =>
  relative(src, path)
    .split('/')[0]!
    .replace(/\.[jt]sx?$/, '')

describe('imports run one way', () => {
  it.each(files.filter((file) => file.includes('/')))('%s', (file) => {
    const from = folderOf(join(src, file))
    expect(Object.keys(arrows)).toContain(from)
    const text = readFileSync(join(src, file), 'utf8')
    const imports = [...text.matchAll(/(?:from|import\()\s*'(\.{1,2}\/[^']+)'/g)].map((match) =>
      folderOf(resolve(src, file, '..', match[1]!)),
    )
    const wrong = imports.filter((to) => to !== from && !anyone.includes(to) && !arrows[from]!.includes(to))
    expect(wrong).toEqual([])
  })

  it('keeps the files that anyone imports free of the rest', () => {
    for (const name of anyone) {
      expect(readFileSync(join(src, `${name}.ts`), 'utf8')).not.toMatch(/from '\.\.?\/(?!errors)/)
    }
  })
})
