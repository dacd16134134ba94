/**
 * The main job on the embedded data: run the teacher once over 12,000 + 10,000 images, train a small student at several
 * temperatures from what it said, and compare with the control, which never saw the teacher.
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
import { openSource, readPreprocess } from '../src/source/index.js'
import { type SweepRow, sweep } from '../src/student/index.js'
import { exportTargets } from '../src/teacher/index.js'

const out = 'runs/demo'
const student = 'mlp:256'
const began = performance.now()
const terminal = openTerminal({ json: false })
const seconds = () => (performance.now() - began) / 1000

await rm(out, { recursive: true, force: true })
await mkdir(out, { recursive: true })
const preprocess = await readPreprocess('data/preprocess.json')
const names = await readNames('data/classes.txt')

async function exportPart(part: 'train' | 't10k', name: string) {
  const source = await openSource(`data/${part}-images-idx3-ubyte.gz`, { preprocess })
  const dir = join(out, name)
  await exportTargets({
    source,
    teacher: 'data/teacher.onnx',
    out: dir,
    preprocess,
    names,
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

terminal.print(
  `Stage 2: ${student} students learn from what it said, at T = 1, 2, 4, 8; the control from hard labels alone. 3 seeds each.`,
)
const sweepBegan = performance.now()
const result = await sweep({
  ...train,
  evaluate: test,
  grid: { student: [student], temperature: [1, 2, 4, 8], alpha: [0, 0.9], seed: [1, 2, 3] },
  base: { epochs: 30, learningRate: 0.002 },
  engine: { name: 'onnx', threads: 1 },
  jobs: availableParallelism(),
  onEvent: (event) => {
    if (event.type !== 'student') return
    const perSecond = event.done / ((performance.now() - sweepBegan) / 1000)
    terminal.progress('students', event.done, event.of, { unit: 'students', perSecond })
  },
})
terminal.settle()
terminal.print(`${renderSweep(result.table)}\n`)
terminal.print(conclude(result.table))

const summary = {
  seconds: seconds(),
  teacher: { accuracy: teacher.accuracy },
  students: result.students.map(({ method, temperature, alpha, seed, metrics }) => ({
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
terminal.print(
  `\n${seconds().toFixed(0)} s; figures in ${out}/summary.json. Look at the targets with: npm run decant -- inspect ${out}/targets`,
)
for (const { source, targets } of [train, test]) {
  await source.close()
  await targets.close()
}

/** What the table means, in two sentences; a result that is not clear is said to be so. */
function conclude(table: SweepRow[]): string {
  const control = table.find((row) => row.control)!.measures.accuracy!
  const best = bestRow(table, student)!
  const accuracy = best.measures.accuracy!
  const clear = accuracy.mean - accuracy.half! > control.mean + control.half!
  const points = (value: number) => (value * 100).toFixed(2)
  const first = clear
    ? `Learning from the teacher's soft targets at T=${best.temperature} lifts the same student from ${points(control.mean)} % to ${points(accuracy.mean)} %, and the two 95 % intervals do not meet.`
    : `The best temperature here, T=${best.temperature}, gives ${points(accuracy.mean)} % against the control's ${points(control.mean)} %, and the 95 % intervals overlap: this run shows no clear gain.`
  const share = (accuracy.mean - control.mean) / (teacher.accuracy! - control.mean)
  return `${first}\nThe student has the same size, the same 12,000 images and as many steps; ${clear ? `${(share * 100).toFixed(0)} % of the distance to the teacher came out of its cached logits, and the teacher ran once for all ${result.students.length} students.` : `the teacher ran once for all ${result.students.length} students.`}`
}
