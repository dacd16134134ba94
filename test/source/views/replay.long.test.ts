import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { expect, it } from 'vitest'
import { startThread } from '../../../src/thread.js'
import { digestPairs } from './replay-pairs.js'

const inThread = async (first: number, step: number): Promise<string[]> => {
  const worker = startThread('./replay-pairs', import.meta.url, { part: [first, step] })
  const [digests] = (await once(worker, 'message')) as [string[]]
  await worker.terminate()
  return digests
}

const inProcess = async (first: number, step: number): Promise<string[]> => {
  const script = fileURLToPath(new URL('./replay-pairs.ts', import.meta.url))
  const { stdout } = await promisify(execFile)(process.execPath, ['--import', 'tsx', script, `${first}`, `${step}`])
  return stdout.split('\n')
}

it('gives 10,000 (sample, view) pairs bit for bit in threads and processes, however they are shared out', async () => {
  const expected = digestPairs(0, 1)
  expect(expected).toHaveLength(10_000)
  expect(new Set(expected).size).toBe(10_000)
  const every = (step: number, run: typeof inThread) =>
    Promise.all(Array.from({ length: step }, (_, first) => run(first, step)))
  for (const parts of await Promise.all([every(3, inThread), every(2, inProcess)])) {
    const joined = expected.map((_, pair) => parts[pair % parts.length]![Math.floor(pair / parts.length)])
    expect(joined).toEqual(expected)
  }
  // The views of pipeline version 1. If this fails, students no longer see what teachers of older datasets saw: raise PIPELINE_VERSION.
  const digest = createHash('sha256').update(expected.join('\n')).digest('hex')
  expect(digest).toBe('9d2b2affae9ff046333ad10ff703ff6f48d7f0e3e63e0c429b36772ad2da6d94')
}, 120_000)
