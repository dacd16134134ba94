import { join } from 'node:path'
import { expect, it } from 'vitest'
import { numbers } from '../../../src/cli/commands/pull.js'
import { makePlan, writeTargets } from '../../cache/datasets.js'
import { hashFolder, temporaryFolder } from '../../helpers/folder.js'
import { eventsOf, runCommand } from '../output.js'

it('pushes and pulls, and says what was sent, what is pinned and what is checked', async () => {
  const root = temporaryFolder()
  const [source, there, here] = ['source', 'there', 'here'].map((name) => join(root, name)) as [string, string, string]
  await writeTargets(source, makePlan({ rows: 100, teacherLicense: 'mit' }))
  const plan = await runCommand('push', source, there, '--dry-run')
  expect(plan.out).toMatch(/^would send 6 files, \d+\.\d KB to /)
  const pushed = await runCommand('push', source, there)
  const [, pin] = /^sent 6 files.*\npinned: (.*#sha256=[0-9a-f]{64})\n$/.exec(pushed.out)!
  expect((await runCommand('push', source, there)).out).toMatch(/^nothing to send/)
  const events = eventsOf((await runCommand('pull', pin!, here, '--json')).out)
  expect(events[0]).toMatchObject({ type: 'progress', totalFiles: 3 })
  expect(events.at(-1)).toMatchObject({ type: 'complete', rows: 100, shards: 3, repaired: [] })
  expect(hashFolder(here)).toEqual(hashFolder(source))
  expect((await runCommand('pull', there, join(root, 'some'), '--rows', '10:20')).out).toMatch(
    /: 10 rows in 1 shard, .*\nmanifest: .*, part of /,
  )
})

it('reads lists of shards', () => {
  expect(numbers('0-3,7')).toEqual([0, 1, 2, 3, 7])
  for (const text of ['', '3-1', '-1', 'a', '1,,2', '0-99999999'])
    expect(() => numbers(text)).toThrow('expected numbers such as')
})
