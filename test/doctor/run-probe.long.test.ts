import { describe, expect, it } from 'vitest'
import { MARK, runProbe } from '../../src/doctor/run-probe.js'

const probe = { kind: 'provider', name: 'cpu' } as const
const process = (code: string, limit = 20) => runProbe(probe, { limit, command: ['-e', code] })

it('runs a real matmul on cpu in a process of its own', async () => {
  const { milliseconds, version, error } = await runProbe(probe, { limit: 20 })
  expect(error).toBeUndefined()
  expect(milliseconds).toBeGreaterThan(0)
  expect(version).toMatch(/^ONNX Runtime \d/)
})

describe('a probe survives', () => {
  it('a process that is killed by what it tries', async () => {
    const { error } = await process("console.error('first\\nsegmentation fault'); process.kill(process.pid, 'SIGSEGV')")
    expect(error).toBe('its process was killed by SIGSEGV: segmentation fault')
  })

  it('one that ends without an answer', async () => {
    expect(await process('process.exit(3)')).toEqual({ error: 'its process ended with code 3' })
  })

  it('one that never answers', async () => {
    expect(await process('setInterval(() => {}, 1000)', 0.2)).toEqual({
      error: 'no answer in 0.2 s: its process was killed',
    })
  })

  it('one that answers and does not end, and whose libraries write to stdout', async () => {
    const code = `process.stdout.write('noise\\n${MARK}{"error":"two\\\\n  lines"}\\n'); setInterval(() => {}, 1000)`
    expect(await process(code)).toEqual({ error: 'two lines' })
  })

  it('an interrupt, which kills it', async () => {
    const controller = new AbortController()
    const running = runProbe(probe, {
      limit: 20,
      signal: controller.signal,
      command: ['-e', 'setInterval(() => {}, 1000)'],
    })
    controller.abort(new Error('stopped'))
    await expect(running).rejects.toThrow('stopped')
  })
})
