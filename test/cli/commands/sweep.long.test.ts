import { readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import { openSource } from '../../../src/source/index.js'
import { exportTargets } from '../../../src/teacher/index.js'
import { writeLinearTeacher } from '../../helpers/teachers.js'
import { makeExample, temporaryFolder } from '../../student/fixtures.js'
import { eventsOf, runCommand } from '../output.js'

let targets: string
beforeAll(async () => {
  targets = join((await makeExample(60)).dir, 'targets')
})
const small = ['--student', 'linear', '--epochs', '1', '--batch', '32', '--engine', 'eager']

describe('decant sweep', () => {
  it('prints a row a point with the control first, and writes the students as CSV', async () => {
    const csv = join(await temporaryFolder(), 'students.csv')
    const flags = ['-T', '1,4', '--seed', '1,2', '--jobs', '2', '--csv', csv]
    const { out, err } = await runCommand('sweep', targets, ...small, ...flags)
    expect(err).toContain('6 students, 2 at once')
    const rows = out
      .trimEnd()
      .split('\n')
      .map((line) => line.trim().split(/ {2,}/))
    expect(rows.map((row) => row.slice(0, 4))).toEqual([
      ['student', 'method', 'T', 'alpha'],
      ['linear', 'ce (control)', '2', expect.stringMatching(/±/)],
      ['linear', 'kd', '1', '0.9'],
      ['linear', 'kd', '4', '0.9'],
    ])
    expect((await readFile(csv, 'utf8')).trimEnd().split('\r\n')).toHaveLength(1 + 6)
  })

  it('gives the same as events', async () => {
    const { out } = await runCommand(
      'sweep',
      targets,
      ...small,
      '--alpha',
      '0.9',
      '--seed',
      '1',
      '--jobs',
      '1',
      '--json',
    )
    const events = eventsOf(out)
    expect(events[0]).toEqual({ type: 'plan', students: ['linear-kd-T4-a0.9-s1'], jobs: 1 })
    expect(events.at(-1)).toMatchObject({
      type: 'sweep',
      students: [{ student: 'linear', seed: 1 }],
      table: [{ seeds: [1] }],
    })
  })

  it('has no control where there are no labels', async () => {
    const { dir, source } = await makeExample(60)
    await rm(source.uri.replace('images-idx3', 'labels-idx1'))
    const unlabelled = await openSource(source.uri)
    writeLinearTeacher(join(dir, 'teacher.onnx'), { side: 6, classes: 3 })
    await exportTargets({ source: unlabelled, teacher: join(dir, 'teacher.onnx'), out: join(dir, 'own'), batch: 32 })
    await unlabelled.close()
    const { out } = await runCommand('sweep', join(dir, 'own'), ...small, '--seed', '1', '--jobs', '1', '--json')
    expect(eventsOf(out)[0]).toMatchObject({ students: ['linear-kd-T4-a0.9-s1'] })
    expect(eventsOf(out).at(-1)).toMatchObject({ table: [{ measures: { agreement: { n: 1 } } }] })
  })

  it('says at once that the CSV cannot be written, not after the training', async () => {
    const nowhere = join(await temporaryFolder(), 'none/students.csv')
    await expect(runCommand('sweep', targets, ...small, '--csv', nowhere)).rejects.toThrow(/ENOENT.*none/)
  })
})
