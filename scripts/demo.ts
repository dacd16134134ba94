/**
 * The main job on the embedded data: run the teacher once over 12,000 + 10,000 images, train a small student at several
 * temperatures from what it said, and compare with the control, which never saw the teacher. Then another student, a small
 * convolutional network, at the temperature that was best.
 *
 *     npm run demo
 */
import { mkdir, rm, writeFile } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { openTargets } from '../src/cache/index.js'
import { readNames } from '../src/cli/read-names.js'
import { openTerminal } from '../src/cli/terminal.js'
import { describeTargets } from '../src/report/describe-targets.js'
import { bestRow, renderSweep } from '../src/report/render-sweep.js'
import { writeReport } from '../src/report/write-report.js'
import { openSource, readPreprocess } from '../src/source/index.js'
import { type SweepRow, sweep } from '../src/student/index.js'
import { exportTargets } from '../src/teacher/index.js'

const out = 'runs/demo'
const began = performance.now()
const terminal = openTerminal({ json: false })
const seconds = () => (performance.now() - began) / 1000

await rm(out, { recursive: true, force: true })
await mkdir(out, { recursive: true })
const preprocess = await readPreprocess('data/preprocess.json')
const names = await readNames('data/classes.txt')

async function exportPart(part: 'train' | 't10k', name: string) {
  const source = await openSource(`data/${part}-images-idx3-ubyte.gz`, { preprocess, classes: { names } })
  const dir = join(out, name)
  await exportTargets({
    source,
    teacher: 'data/teacher.onnx',
    out: dir,
    license: 'mit',
    onEvent: (event) => {
      if (event.type === 'provider' && name === 'targets') terminal.note(`provider ${event.provider} (${event.why})`)
      if (event.type === 'progress')
        terminal.progress(`teacher over ${name}`, event.rows, event.total, {
          unit: 'rows',
          perSecond: event.rowsPerSecond,
        })
    },
  })
  terminal.settle()
  return { source, targets: await openTargets(dir) }
}

terminal.print('Stage 1: the teacher runs once over 12,000 training and 10,000 test images.')
const train = await exportPart('train', 'targets')
const test = await exportPart('t10k', 'test-targets')
const teacher = await describeTargets(test.targets)
terminal.print(
  `The teacher's accuracy on the test images: ${(teacher.accuracy! * 100).toFixed(2)} % (${seconds().toFixed(0)} s so far).\n`,
)

/** A student with and without the teacher, seeds 1 and on; from one cache, which is loaded again for each sweep. */
async function trainStudents(
  student: string,
  { temperatures, seeds, ...base }: { temperatures: number[]; seeds: number; epochs: number; learningRate: number },
) {
  const result = await sweep({
    ...train,
    evaluate: test,
    grid: {
      student: [student],
      temperature: temperatures,
      alpha: [0, 0.9],
      seed: Array.from({ length: seeds }, (_, i) => i + 1),
    },
    base,
    engine: { name: 'onnx', threads: 1 },
    jobs: availableParallelism(),
    onEvent: (event) => {
      const show = (done: number, of: number) =>
        terminal.progress(`${student} students`, done, of, { unit: 'students' })
      if (event.type === 'plan') show(0, event.students.length)
      if (event.type === 'student') show(event.done, event.of)
    },
  })
  terminal.settle()
  return result
}

terminal.print(
  'Stage 2: mlp:128 students learn from what it said, at T = 1, 2, 4, 8; the control from hard labels alone. 5 seeds each.',
)
const mlps = await trainStudents('mlp:128', { temperatures: [1, 2, 4, 8], seeds: 5, epochs: 30, learningRate: 0.002 })
const best = bestRow(mlps.table, 'mlp:128')!.temperature!
terminal.print(`Then cnn:16 students, at the temperature that was best, T = ${best}. 3 seeds each.`)
const cnns = await trainStudents('cnn:16', { temperatures: [best], seeds: 3, epochs: 15, learningRate: 0.003 })
const students = [...mlps.students, ...cnns.students]
terminal.print(`${renderSweep([...mlps.table, ...cnns.table])}\n`)
terminal.print(conclude('mlp:128', mlps.table))
terminal.print(conclude('cnn:16', cnns.table))
terminal.print(
  `Every student has the same 12,000 images as its control and as many steps; the teacher ran once for all ${students.length}.`,
)

const summary = {
  seconds: seconds(),
  teacher: { accuracy: teacher.accuracy },
  students: students.map(({ student, method, temperature, alpha, seed, metrics }) => ({
    student,
    method,
    temperature,
    alpha,
    seed,
    accuracy: metrics?.accuracy ?? null,
    nll: metrics?.nll ?? null,
    agreement: metrics?.agreement ?? null,
  })),
}
await writeFile(join(out, 'summary.json'), `${JSON.stringify(summary, null, 2)}\n`)
await writeReport(out, { ...mlps, students, seconds: seconds() })
terminal.print(
  `\n${seconds().toFixed(0)} s; charts in ${out}/report.html, figures in ${out}/summary.json. Look at the targets with: npm run decant -- inspect ${out}/targets`,
)
for (const { source, targets } of [train, test]) {
  await source.close()
  await targets.close()
}

/** What the table says of one student; a result that is not clear is said to be so. */
function conclude(student: string, table: SweepRow[]): string {
  const control = table.find((row) => row.control)!.measures.accuracy!
  const best = bestRow(table, student)!
  const accuracy = best.measures.accuracy!
  const gain = best.gain.accuracy! // of each seed over the control of the same seed
  const clear = gain.mean > gain.half!
  const points = (value: number) => (value * 100).toFixed(2)
  const found = `${student}: the teacher's soft targets at T=${best.temperature} take it from ${points(control.mean)} % to ${points(accuracy.mean)} %`
  const share = (accuracy.mean - control.mean) / (teacher.accuracy! - control.mean)
  return clear
    ? `${found}, ${(share * 100).toFixed(0)} % of the distance to the teacher; seed by seed a gain of ${points(gain.mean)} ± ${points(gain.half!)} points.`
    : `${found}, seed by seed ${points(gain.mean)} ± ${points(gain.half!)} points: this run shows no clear gain.`
}
