/**
 * Students that teach themselves, on one small ResNet, beside the cross-entropy alone (ce): the same images, the same views of them, as many
 * steps of the same optimizer, the same seeds. Accuracy, NLL, ECE and AURC on the test images, each less ce seed by seed with its 95 %
 * interval, beside the direction that each method's own paper reports. Whatever comes out is printed. Stopped or killed, the same command goes
 * on; more seeds add to what is there, other epochs or images are refused until the folder is removed.
 *
 *     npm run study:self [epochs] [seeds] [images] [jobs]
 */
import { existsSync } from 'node:fs'
import { mkdir, symlink, writeFile } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import { join, resolve } from 'node:path'
import { openTargets } from '../../src/cache/index.js'
import { trainChain } from '../../src/chain/index.js'
import { readNames } from '../../src/cli/read-names.js'
import { openEngine } from '../../src/engine/engine.js'
import { DecantError } from '../../src/errors.js'
import { openSource, readPreprocess, withViews } from '../../src/source/index.js'
import { interval, type Metrics, type StudentConfig, sweep } from '../../src/student/index.js'
import { exportTargets } from '../../src/teacher/index.js'

const [epochs = 10, seeds = 3, images = 2500, jobs = availableParallelism()] = process.argv.slice(2).map(Number)
const out = 'runs/study-self'
const [student, generations] = ['resnet:8,8', 3]
const seedList = Array.from({ length: seeds }, (_, i) => i + 1)
const base: Partial<StudentConfig> = {
  ...{ epochs, batch: 32, learningRate: 0.05 },
  optimizer: { name: 'sgd', nesterov: true, weightDecay: 5e-4 },
  schedule: { kind: 'cosine', warmup: 50 },
}
/** What the papers say that their methods do; of `ls`, Szegedy et al. 2016 and Müller et al. 2019. */
const claims: Record<string, string> = {
  ls: 'accuracy up, ECE down',
  'tf-kd': 'accuracy up',
  'ps-kd': 'accuracy up, NLL, ECE and AURC down',
  'cs-kd': 'accuracy up, ECE down',
  ddgsd: 'accuracy up',
  byot: 'accuracy up',
  dks: 'accuracy up',
  teskd: 'accuracy up',
  'sla-sd': 'accuracy up',
  frskd: 'accuracy up',
  ban: 'accuracy up',
}
const measures = ['accuracy', 'nll', 'ece', 'aurc'] as const
type Found = Record<(typeof measures)[number], number[]>

const began = performance.now()
const after = () => `after ${((performance.now() - began) / 1000).toFixed(0)} s`
await mkdir(out, { recursive: true })
const preprocess = await readPreprocess('data/preprocess.json')
const names = await readNames('data/classes.txt')
const exported = { teacher: 'data/teacher.onnx', batch: 250 }

/** Two views of each of the first images: the methods that compare views need them, and so all others get them, too. */
async function exportViews() {
  const source = await openSource('data/train-images-idx3-ubyte.gz', { preprocess, classes: { names } })
  const views = withViews(source, { count: 2, augment: 'crop:2,flip' })
  const dir = join(out, 'targets')
  await exportTargets({ ...exported, source: views, out: dir, range: { from: 0, to: images } })
  return { source, targets: await openTargets(dir) }
}

async function exportTest() {
  const source = await openSource('data/t10k-images-idx3-ubyte.gz', { preprocess, classes: { names } })
  const dir = join(out, 'test-targets')
  await exportTargets({ ...exported, source, out: dir })
  return { source, targets: await openTargets(dir) }
}

const results = new Map<string, Found>()
function keep(method: string, metrics: Metrics | null): void {
  const found = results.get(method) ?? { accuracy: [], nll: [], ece: [], aurc: [] }
  for (const measure of measures) found[measure].push(metrics?.[measure] ?? Number.NaN)
  results.set(method, found)
}

const [train, test] = [await exportViews(), await exportTest()]
const { students } = await sweep({
  ...train,
  evaluate: test,
  grid: {
    student: [student],
    method: ['ce', 'ls', 'tf-kd', 'ps-kd', 'cs-kd', 'ddgsd', 'byot', 'dks', 'teskd', 'sla-sd', 'frskd'],
    seed: seedList,
  },
  base,
  engine: { name: 'onnx', threads: 1 },
  jobs,
  out: join(out, 'sweep'),
  onEvent: (event) => {
    if (event.type !== 'student') return
    const { method, seed, failed, metrics, seconds } = event.student
    const said = failed ?? `${metrics?.accuracy}, trained in ${seconds.toFixed(0)} s`
    console.error(`${event.done}/${event.of} ${method} seed ${seed}: ${said} (${after()})`)
  },
})
const failed = students.find((student) => student.failed !== undefined)
if (failed) throw new DecantError(`${failed.method}, seed ${failed.seed}: ${failed.failed}`)
for (const { method, metrics } of students) keep(method, metrics)

// Generations one after another; the first is the student that ce trained with this seed.
const engine = await openEngine('onnx', { threads: 1 })
for (const seed of seedList) {
  const dir = join(out, `ban-${seed}`)
  if (!existsSync(join(dir, '1', 'student'))) {
    await mkdir(join(dir, '1'), { recursive: true })
    const first = join(out, 'sweep', 'students', `${student.replace(/\W/g, '-')}-ce-s${seed}`)
    await symlink(resolve(first), join(dir, '1', 'student'))
  }
  const soft = { method: 'kd', temperature: 1, alpha: 1 }
  const links = Array.from({ length: generations }, (_, i) => ({
    ...{ ...base, student, seed: seed + 100 * i },
    ...(i === 0 ? { method: 'ce' } : soft),
  }))
  const chain = await trainChain({ ...train, evaluate: test, links, engine, out: dir })
  keep('ban', chain.at(-1)!.metrics)
  console.error(`ban seed ${seed}: ${chain.map(({ metrics }) => metrics?.accuracy).join(', ')} (${after()})`)
}
await engine.dispose()

const digits = { accuracy: 2, nll: 4, ece: 2, aurc: 2 }
const scale = { accuracy: 100, nll: 1, ece: 100, aurc: 1000 }
const show = (values: number[], measure: (typeof measures)[number], sign = false) => {
  const { mean, half } = interval(values.map((value) => value * scale[measure]))
  const text = mean.toFixed(digits[measure])
  return `${sign && mean >= 0 ? '+' : ''}${text}${half === null ? '' : ` ± ${half.toFixed(digits[measure])}`}`
}
const control = results.get('ce')!
console.log(
  `${student}, ${epochs} epochs over 2 views of ${images} images, ${seeds} seeds; ban: generation ${generations}, each of as many steps`,
)
console.log(
  '\n| method | accuracy % | NLL | ECE % | AURC ×1000 | accuracy less ce | NLL less ce | ECE less ce | AURC less ce | the paper |',
)
console.log(`|${' --- |'.repeat(10)}`)
for (const [method, found] of results) {
  const own = measures.map((measure) => show(found[measure], measure))
  const less = measures.map((measure) =>
    method === 'ce'
      ? ''
      : show(
          found[measure].map((value, i) => value - control[measure][i]!),
          measure,
          true,
        ),
  )
  console.log(`| ${[method, ...own, ...less, claims[method] ?? ''].join(' | ')} |`)
}
console.log(`\nIntervals are 95 % (Student's t over seeds); a difference whose interval holds 0 is none.`)
await writeFile(
  join(out, 'summary.json'),
  `${JSON.stringify({ student, epochs, images, seeds, base, results: Object.fromEntries(results) }, null, 2)}\n`,
)
for (const { source, targets } of [train, test]) {
  await source.close()
  await targets.close()
}
