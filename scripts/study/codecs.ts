/**
 * Do students care which codec they learn from? The example's teacher is exported once a codec, and the same students, seed by seed, are
 * trained from each: accuracy and NLL on the test images, and each codec less f32, paired by seed, with its 95 % interval.
 *
 *     npm run study:codecs [codec ...]
 */
import { rm } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { type CodecName, openTargets } from '../../src/cache/index.js'
import { openSource, readPreprocess } from '../../src/source/index.js'
import { interval, sweep } from '../../src/student/index.js'
import { exportTargets } from '../../src/teacher/index.js'

const out = 'runs/study-codecs'
const [student, temperature, seeds] = ['mlp:256', 4, [1, 2, 3, 4, 5]]
const codecs = (
  process.argv.length > 2 ? process.argv.slice(2) : ['f16', 'q8', 'hybrid:28', 'topk:16', 'topk:4']
) as CodecName[]
const preprocess = await readPreprocess('data/preprocess.json')

async function exportPart(part: 'train' | 't10k', codec: CodecName) {
  const source = await openSource(`data/${part}-images-idx3-ubyte.gz`, { preprocess })
  const dir = join(out, `${part}-${codec.replace(':', '-')}`)
  await exportTargets({ source, teacher: 'data/teacher.onnx', out: dir, codec })
  return { source, targets: await openTargets(dir) }
}

await rm(out, { recursive: true, force: true })
const test = await exportPart('t10k', 'f32')

/** Accuracy and NLL of the students of one codec, by seed. */
async function study(codec: CodecName) {
  const train = await exportPart('train', codec)
  const { students } = await sweep({
    ...train,
    evaluate: test,
    grid: { student: [student], temperature: [temperature], alpha: [0.9], seed: seeds },
    base: { epochs: 20, learningRate: 0.002 },
    engine: { name: 'onnx', threads: 1 },
    jobs: availableParallelism(),
  })
  const bytes = train.targets.manifest.shards.reduce((sum, shard) => sum + shard.bytes, 0) / train.targets.rows
  await train.targets.close()
  await train.source.close()
  return {
    bytes,
    accuracy: students.map(({ metrics }) => 100 * metrics!.accuracy!),
    nll: students.map(({ metrics }) => metrics!.nll!),
  }
}

const show = (values: number[], digits: number) => {
  const { mean, half } = interval(values)
  return `${mean.toFixed(digits)} ± ${half!.toFixed(digits)}`
}

console.log(`${student} at T = ${temperature}, ${seeds.length} seeds; bytes a row in the file, 10 classes`)
const base = await study('f32')
console.log(`f32: ${base.bytes.toFixed(0)} B, accuracy ${show(base.accuracy, 2)} %, NLL ${show(base.nll, 4)}`)
for (const codec of codecs) {
  const found = await study(codec)
  const less = (key: 'accuracy' | 'nll') => found[key].map((value, i) => value - base[key][i]!)
  console.log(
    `${codec}: ${found.bytes.toFixed(0)} B, accuracy ${show(found.accuracy, 2)} %, NLL ${show(found.nll, 4)}; less f32: ` +
      `accuracy ${show(less('accuracy'), 2)}, NLL ${show(less('nll'), 4)}`,
  )
}
await test.targets.close()
await test.source.close()
