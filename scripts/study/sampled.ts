/**
 * What students of a language model learn from k classes a position: the likeliest (topk, kd), drawn ones as buckets (sampled, kd), and drawn
 * ones by their counts (sampled, rs-kd), beside all classes. The teacher is made up, so that nothing is downloaded: the last token's row of a
 * table, Zipf's law and a product of vectors of 64 numbers, whose first weigh most. Text is drawn from it, and students are too small to be
 * it. KL to the teacher over all classes and NLL of the next token, on other text; T = 1, alpha 1. Means over seeds with 95 % intervals, and
 * less those of topk of the same k, paired by seed.
 *
 *     npm run study:sampled [seeds] [epochs] [k ...]
 */
import { mkdir, rm, writeFile } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { type CodecName, openTargets } from '../../src/cache/index.js'
import { encodeModel, GraphBuilder } from '../../src/onnx/index.js'
import { random } from '../../src/random.js'
import { openSource } from '../../src/source/index.js'
import { interval, sweep } from '../../src/student/index.js'
import { exportTargets } from '../../src/teacher/index.js'
import { npy } from '../../test/source/files-of-rows.js'

const [seeds = 3, epochs = 8, ...given] = process.argv.slice(2).map(Number)
const ks = given.length > 0 ? given : [12, 50]
const out = 'runs/study-sampled'
const [vocabulary, width, length] = [1000, 64, 32]
const texts = { train: 1500, test: 300 }
const student = 'transformer:32,1'

/** [vocabulary, vocabulary], of each token the logits of the next one. */
function makeTable(): Float32Array {
  const { normal, permutation } = random('study', 'sampled')
  const vectors = () => Array.from({ length: vocabulary }, () => Array.from({ length: width }, normal))
  const [before, after, rank] = [vectors(), vectors(), permutation(vocabulary)]
  const weights = Array.from({ length: width }, (_, i) => 0.8 / Math.sqrt(i + 1))
  return Float32Array.from({ length: vocabulary ** 2 }, (_, i) => {
    const [token, next] = [Math.floor(i / vocabulary), i % vocabulary]
    const product = weights.reduce((sum, weight, j) => sum + weight * before[token]![j]! * after[next]![j]!, 0)
    return product - Math.log(rank[next]! + 1)
  })
}

/** Sequences drawn from the teacher, [rows, length]. */
function drawText(table: Float32Array, { name, rows }: { name: string; rows: number }): Int32Array {
  const { uniform, below } = random('study', name)
  const sums = table.map(Math.exp)
  for (let i = 0; i < sums.length; i++) if (i % vocabulary > 0) sums[i]! += sums[i - 1]!
  const tokens = new Int32Array(rows * length)
  for (let i = 0; i < tokens.length; i++) {
    if (i % length === 0) {
      tokens[i] = below(vocabulary)
      continue
    }
    const row = sums.subarray(tokens[i - 1]! * vocabulary, (tokens[i - 1]! + 1) * vocabulary)
    const at = uniform() * row.at(-1)!
    tokens[i] = row.findIndex((sum) => sum > at)
  }
  return tokens
}

await rm(out, { recursive: true, force: true })
await mkdir(out, { recursive: true })
const table = makeTable()
const graph = new GraphBuilder()
const ids = graph.input('input_ids', 'int64', ['N', 'L'])
const z = graph.node('Gather', [graph.f32(table, [vocabulary, vocabulary]), ids])
graph.output('logits', 'float32', ['N', 'L', vocabulary], z)
const teacher = join(out, 'teacher.onnx')
await writeFile(teacher, encodeModel(graph.model({ name: 'bigram' })))
for (const [name, rows] of Object.entries(texts)) {
  await writeFile(join(out, `${name}.npy`), npy('<i4', [rows, length], drawText(table, { name, rows })))
}

async function exportPart(part: keyof typeof texts, codec: CodecName) {
  const source = await openSource(join(out, `${part}.npy`))
  const dir = join(out, `${part}-${codec.replace(':', '-')}`)
  await exportTargets({ source, teacher, out: dir, codec })
  return { source, targets: await openTargets(dir) }
}

const test = await exportPart('test', 'f32')

/** KL and NLL of the students of one codec, by method and seed. */
async function study(codec: CodecName, methods: ('kd' | 'rs-kd')[]) {
  const train = await exportPart('train', codec)
  const { students } = await sweep({
    ...train,
    evaluate: test,
    grid: { student: [student], method: methods, seed: Array.from({ length: seeds }, (_, i) => i + 1) },
    base: { temperature: 1, alpha: 1, epochs, batch: 32, learningRate: 0.005, holdout: 0 },
    engine: { name: 'onnx', threads: 1 },
    jobs: availableParallelism(),
  })
  await train.targets.close()
  await train.source.close()
  return methods.map((method) => {
    const own = students.filter((student) => student.method === method)
    return { method, kl: own.map(({ metrics }) => metrics!.kl), nll: own.map(({ metrics }) => metrics!.nll!) }
  })
}

const show = (values: number[]) => {
  const { mean, half } = interval(values)
  return half === null ? mean.toFixed(4) : `${mean.toFixed(4)} ± ${half.toFixed(4)}`
}

console.log(`${student}, ${vocabulary} classes, ${texts.train} × ${length} positions, ${epochs} epochs, ${seeds} seeds`)
for (const { kl, nll } of await study('f32', ['kd'])) console.log(`f32 kd: KL ${show(kl)}, NLL ${show(nll)}`)
for (const k of ks) {
  const [base] = await study(`topk:${k}`, ['kd'])
  console.log(`topk:${k} kd: KL ${show(base!.kl)}, NLL ${show(base!.nll)}`)
  for (const { method, ...found } of await study(`sampled:${k}`, ['kd', 'rs-kd'])) {
    const less = (key: 'kl' | 'nll') => show(found[key].map((value, i) => value - base![key][i]!))
    console.log(
      `sampled:${k} ${method}: KL ${show(found.kl)}, NLL ${show(found.nll)}; less topk's: KL ${less('kl')}, NLL ${less('nll')}`,
    )
  }
}
await test.targets.close()
await test.source.close()
