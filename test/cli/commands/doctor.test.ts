import { afterEach, expect, it } from 'vitest'
import { doctorCommand } from '../../../src/cli/commands/doctor.js'
import type { System } from '../../../src/doctor/index.js'
import { systemWith } from '../../doctor/systems.js'
import { captureOutput, eventsOf } from '../output.js'

afterEach(() => {
  process.exitCode = undefined
})

async function doctor(changes: Partial<System>, ...args: string[]) {
  const { said, restore } = captureOutput()
  try {
    await doctorCommand(() => systemWith(changes)).parseAsync(args, { from: 'user' })
    return said
  } finally {
    restore()
  }
}

it('prints a line a finding, what to do below it, and the verdict', async () => {
  const { out } = await doctor({})
  expect(out).toMatch(/^ok {7}node {15}22\.1\.0; supported: 20\.19 and later$/m)
  expect(out).toMatch(/^missing {2}cuda libraries {5}not there: .*\n {28}python3 -m pip install /m)
  expect(out).toMatch(/\nEverything that decant needs works\.\n$/)
  expect(process.exitCode).toBeUndefined()
})

it('exits with 1 where something that decant needs is broken, and says it in JSON, too', async () => {
  const events = eventsOf((await doctor({ node: '20.9.0' }, '--json')).out)
  expect(events[0]).toMatchObject({ type: 'finding', name: 'node', status: 'broken', required: true })
  expect(events.at(-1)).toMatchObject({ type: 'doctor', sound: false })
  expect(process.exitCode).toBe(1)
})
