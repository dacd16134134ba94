import { afterEach, expect, it, vi } from 'vitest'
import type { System } from '../../../src/doctor/index.js'
import { systemWith } from '../../doctor/systems.js'
import { eventsOf, runCommand } from '../output.js'

let changes: Partial<System> = {}
vi.mock(import('../../../src/doctor/system.js'), () => ({ thisSystem: () => systemWith(changes) }))
afterEach(() => {
  changes = {}
  process.exitCode = undefined
})

it('prints a line a finding, what to do below it, and the verdict', async () => {
  const { out } = await runCommand('doctor')
  expect(out).toMatch(/^ok {7}node {15}22\.1\.0; supported: 20\.19 and later$/m)
  expect(out).toMatch(/^missing {2}cuda libraries {5}not there: .*\n {28}python3 -m pip install /m)
  expect(out).toMatch(/\nEverything that decant needs works\.\n$/)
  expect(process.exitCode).toBeUndefined()
})

it('exits with 1 where something that decant needs is broken, and says it in JSON, too', async () => {
  changes = { node: '20.9.0' }
  const events = eventsOf((await runCommand('doctor', '--json')).out)
  expect(events[0]).toMatchObject({ type: 'finding', name: 'node', status: 'broken', required: true })
  expect(events.at(-1)).toMatchObject({ type: 'doctor', sound: false })
  expect(process.exitCode).toBe(1)
})
