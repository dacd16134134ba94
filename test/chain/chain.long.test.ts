import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { openTargets } from '../../src/cache/index.js'
import { formatManifest } from '../../src/cache/manifest.js'
import { openEngine } from '../../src/engine/engine.js'
import { withViews } from '../../src/source/index.js'
import { trainStudent } from '../../src/student/index.js'
import { exportTargets } from '../../src/teacher/index.js'
import { runCommand } from '../cli/output.js'
import { hashFolder, withoutTimes } from '../helpers/folder.js'
import { writeLinearTeacher } from '../helpers/teachers.js'
import { makeExample, temporaryFolder } from '../student/fixtures.js'

it('trains an assistant and its student, each link an ordinary student and an ordinary cache', async () => {
  const { dir, source } = await makeExample(120)
  const evaluation = join((await makeExample(50)).dir, 'targets')
  const out = await temporaryFolder()
  const flags = [
    '--student',
    'mlp:16',
    '--student',
    'linear',
    '--epochs',
    '3',
    '--batch',
    '32',
    '--out',
    out,
    '--eval',
    evaluation,
  ]
  const chain = () => runCommand('chain', join(dir, 'targets'), ...flags)
  const said = (await chain()).out
  expect(said).toMatch(/1\. mlp:16 by kd, .*accuracy .*\n2\. linear by kd/)
  // The same by hand, from the cache of the first.
  const targets = await openTargets(join(out, '1', 'targets'))
  const engine = await openEngine('onnx')
  expect(targets.manifest.teacher).toMatchObject({ file: 'student.onnx' })
  const evaluate = { targets: await openTargets(evaluation), source: (await makeExample(50)).source }
  const byHand = await trainStudent({
    targets,
    source,
    evaluate,
    engine,
    student: 'linear',
    epochs: 3,
    batch: 32,
    seed: 2,
  })
  const { metrics } = JSON.parse(await readFile(join(out, '2', 'student', 'metrics.json'), 'utf8'))
  expect(JSON.parse(JSON.stringify(byHand.metrics))).toEqual(metrics)
  await Promise.all([targets.close(), evaluate.targets.close()])
  // Once more: nothing is made again.
  expect((await chain()).out).toBe(said)
  // In another folder, at another time: the same bytes, from link to link.
  const again = await temporaryFolder()
  await runCommand('chain', join(dir, 'targets'), ...flags.map((flag) => (flag === out ? again : flag)))
  expect(hashFolder(again, withoutTimes)).toEqual(hashFolder(out, withoutTimes))
})

it('trains generations of one student from labels on, on the views of the first targets', async () => {
  const { dir, source } = await makeExample(60)
  const teacher = join(dir, 'teacher.onnx')
  writeLinearTeacher(teacher, { side: 6, classes: 3 })
  const views = withViews(source, { count: 2, augment: 'crop:1', seed: 3 })
  await exportTargets({ source: views, teacher, out: join(dir, 'views') })
  const out = await temporaryFolder()
  const flags = ['--generations', '3', '--first', 'ce', '--alpha', '1', '-T', '1', '--epochs', '2', '--out', out]
  const said = (await runCommand('chain', join(dir, 'views'), '--student', 'linear', ...flags)).out
  expect(said).toMatch(/1\. linear by ce.*\n2\. linear by kd.*\n3\. linear by kd/)
  const [first, second] = await Promise.all(
    ['views', join(out, '2', 'targets')].map((d) => openTargets(d.includes('/') ? d : join(dir, d))),
  )
  expect(second!.manifest.views).toEqual(first!.manifest.views)
  const [a, b] = await Promise.all([first!.load(), second!.load()])
  expect(b.ids()).toEqual(a.ids())
  expect(b.columns.view_params).toEqual(a.columns.view_params)
  await Promise.all([first!.close(), second!.close()])
})

it('warns, as train does, where targets are far from the teacher', async () => {
  const { dir } = await makeExample(20)
  const path = join(dir, 'targets', 'manifest.json')
  const manifest = JSON.parse(await readFile(path, 'utf8'))
  const measured = { mean: 0.1, worst: 0.5 }
  const fidelity = {
    rows: 20,
    temperatures: [1, 4].map((temperature) => ({
      temperature,
      klBuckets: measured,
      klClasses: measured,
      tailError: null,
    })),
  }
  await writeFile(path, formatManifest({ ...manifest, fidelity }))
  const { err } = await runCommand(
    ...['chain', join(dir, 'targets'), '--student', 'linear', '--epochs', '1', '--out', await temporaryFolder()],
  )
  expect(err).toMatch(/student 1: warning: codec \S+ at T = 4: KL to the teacher .* 1\.0e-1 on average/)
})

it('refuses generations of several students', async () => {
  const { dir } = await makeExample(20)
  const flags = ['--student', 'linear', '--student', 'mlp:4', '--generations', '2', '--out', await temporaryFolder()]
  await expect(runCommand('chain', join(dir, 'targets'), ...flags)).rejects.toThrow('--generations are of one student')
})
