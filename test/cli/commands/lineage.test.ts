import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { makePlan, writeTargets } from '../../cache/datasets.js'
import { temporaryFolder } from '../../helpers/folder.js'
import { writeIdx } from '../../helpers/idx.js'
import { writeLinearTeacher } from '../../helpers/teachers.js'
import { eventsOf, runCommand } from '../output.js'

it('goes from the source through every operation to the student', async () => {
  const dir = temporaryFolder()
  const at = (name: string) => join(dir, name)
  const { images } = writeIdx(dir, { rows: 300, side: 4, classes: 10 })
  writeLinearTeacher(at('teacher.onnx'), { side: 4, classes: 10 })
  const part = ['export', images, '--teacher', at('teacher.onnx'), '--batch', '32', '--codec', 'f32', '--out']
  await runCommand(...part, at('a'), '--rows', '0:100')
  await runCommand(...part, at('b'), '--rows', '100:300')
  await runCommand('merge', at('b'), at('a'), '--out', at('ab'))
  await runCommand('convert', at('ab'), '--codec', 'f16', '--out', at('f16'))
  await runCommand('select', at('f16'), '--label', '0,1,2,3,4', '--out', at('some'))
  await runCommand('train', at('some'), '--student', 'linear', '--epochs', '1', '--out', at('student'))

  const { out } = await runCommand('lineage', at('student/student.onnx'))
  const names = out.split('\n').map((line) => line.slice(2).split(' ')[0])
  expect(names.filter(Boolean)).toEqual([
    'source',
    'preprocessing',
    'views',
    'teacher',
    'merge',
    'convert',
    'select',
    'codec',
    'dataset',
    'student',
  ])
  const [event] = eventsOf((await runCommand('lineage', at('student/student.onnx'), '--json')).out)
  const manifest = createHash('sha256')
    .update(readFileSync(at('some/manifest.json')))
    .digest('hex')
  expect(event).toMatchObject({ codec: 'f16', student: { config: { student: 'linear', epochs: 1 } } })
  const [dataset] = eventsOf((await runCommand('lineage', at('some'), '--json')).out)
  expect(dataset).toMatchObject({ manifest })
  // The file's own hash is left out of a student, as the time of the export is in it.
  expect({ ...event, student: undefined }).toEqual({ ...dataset, manifest: undefined, student: undefined })
})

it('says what has no lineage', async () => {
  const dir = temporaryFolder()
  writeLinearTeacher(join(dir, 'teacher.onnx'), { side: 4, classes: 10 })
  await expect(runCommand('lineage', join(dir, 'teacher.onnx'))).rejects.toThrow(/no lineage in it/)
  await expect(runCommand('lineage', join(dir, 'nothing'))).rejects.toThrow(/cannot be read: ENOENT/)
})

it('prints the operations of a diamond after those that made their parents', async () => {
  const dir = temporaryFolder()
  const at = (name: string) => join(dir, name)
  await writeTargets(at('a'), makePlan())
  await runCommand('convert', at('a'), '--codec', 'f16', '--out', at('b'))
  await runCommand('select', at('b'), '--confidence', '0:1', '--out', at('c'))
  await runCommand('ensemble', at('b'), at('c'), '--out', at('d'))
  const { out } = await runCommand('lineage', at('d'))
  const names = out.split('\n').map((line) => line.slice(2).split(' ')[0])
  expect(names.slice(4, 7)).toEqual(['convert', 'select', 'ensemble'])
})
