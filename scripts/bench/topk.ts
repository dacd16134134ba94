/**
 * Top-k with tail statistics in the graph against the same in JavaScript, over logits of 50,257 classes: codec topk:16 on one thread
 * each. Runs take turns; medians are printed.
 *
 *     npx tsx scripts/bench/topk.ts [rounds] [rows]
 */
import { cpus } from 'node:os'
import { InferenceSession, Tensor } from 'onnxruntime-node'
import { codecOf } from '../../src/cache/index.js'
import { encodeModel, fuseTeacher, GraphBuilder } from '../../src/onnx/index.js'
import { random } from '../../src/random.js'
import { targetOf } from '../../src/teacher/target.js'

const [rounds, rows] = [Number(process.argv[2] ?? 7), Number(process.argv[3] ?? 32)]
const classes = 50_257
const codec = 'topk:16'
const median = (values: number[]) => values.toSorted((a, b) => a - b)[values.length >> 1]!

const stream = random('logits')
const logits = Float32Array.from({ length: rows * classes }, () => 3 * stream.normal())
const labels = Int32Array.from({ length: rows }, () => stream.below(classes))

/** A teacher that only passes logits on, fused with a codec. */
async function open(name: 'f32' | 'topk:16') {
  const graph = new GraphBuilder()
  graph.output('z', 'float32', ['N', classes], graph.node('Identity', [graph.input('x', 'float32', ['N', classes])]))
  const { proto } = fuseTeacher(graph.model({ name: 'pass' }), {
    output: 'z',
    target: targetOf({ codec: name, classes })!,
  })
  return InferenceSession.create(encodeModel(proto), { executionProviders: ['cpu'], intraOpNumThreads: 1 })
}

const [raw, fused] = [await open('f32'), await open(codec)]
const x = new Tensor('float32', logits, [rows, classes])
const label = new Tensor('int32', labels, [rows])
const ways = {
  'in the graph': () => fused.run({ x, label }),
  'in JavaScript, from the logits that a graph gives': async () => {
    const output = await raw.run({ x })
    codecOf(codec).encode({ logits: output.logits!.data as Float32Array, classes, labels })
  },
}
const times = Object.fromEntries(Object.keys(ways).map((name) => [name, [] as number[]]))
for (let round = -1; round < rounds; round++) {
  for (const [name, run] of Object.entries(ways)) {
    const started = performance.now()
    await run()
    if (round >= 0) times[name]!.push(performance.now() - started) // the first warms up
  }
}
console.log(
  `${cpus()[0]!.model}, Node ${process.version}; ${codec} of ${classes} classes, ${rows} rows a call, medians of ${rounds}`,
)
for (const [name, taken] of Object.entries(times)) console.log(`${(median(taken) / rows).toFixed(3)} ms a row ${name}`)
