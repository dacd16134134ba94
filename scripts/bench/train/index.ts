import { execFileSync } from 'node:child_process'
import { loadavg } from 'node:os'
import { fileURLToPath } from 'node:url'
import '@tensorflow/tfjs-backend-cpu'
import { setThreadsCount } from '@tensorflow/tfjs-backend-wasm'
import * as tf from '@tensorflow/tfjs-core'
import { eagerProgram } from '../../../src/engine/eager.js'
import type { InputSpec, Step } from '../../../src/engine/engine.js'
import { openOnnx } from '../../../src/engine/onnx/engine.js'
import { createOptimizer } from '../../../src/student/optimizer.js'
import { variablesOf } from '../../../src/student/program.js'
import { students } from './students.js'

/**
 * Milliseconds a training step of each engine and of PyTorch, in the same minutes: rounds of all of them in turn, and of
 * each the median of its rounds' medians and, in brackets, its fastest step, which a busy machine disturbs least.
 * `tsx scripts/bench/train [student ...]`; DECANT_PYTHON has torch.
 */
const threads = 2
const batch = 128
const scan = 16
const rounds = 3

const specs: Record<string, InputSpec> = {
  pixels: { shape: [batch, 28, 28, 1], dtype: 'uint8' },
  teacher: { shape: [batch, 10], dtype: 'float32' },
  learningRate: { shape: [], dtype: 'float32' },
  temperature: { shape: [], dtype: 'float32' },
}

/** Inputs of `steps` steps, one after another. */
function makeInputs(steps: number): Record<string, ArrayBufferView> {
  return {
    pixels: Uint8Array.from({ length: steps * batch * 784 }, (_, i) => (i * 7919) % 251),
    teacher: Float32Array.from({ length: steps * batch * 10 }, (_, i) => 3 * Math.sin(i)),
    learningRate: new Float32Array(steps).fill(1e-3),
    temperature: new Float32Array(steps).fill(4),
  }
}

/** Hinton's loss at T = 4 and Adam, as pytorch.py has them. */
async function makeStep(name: string): Promise<Step> {
  const model = await students[name]!()
  const variables = variablesOf(model.trainableWeights)
  const optimizer = createOptimizer({ name: 'adam' }, variables)
  return ({ pixels, teacher, learningRate, temperature }) => {
    const { value, grads } = tf.variableGrads(() => {
      const logits = model.apply(tf.div(tf.cast(pixels!, 'float32'), 255), { training: true }) as tf.Tensor
      const soft = tf.softmax(tf.div(teacher!, temperature!))
      const each = tf.sum(tf.mul(soft, tf.logSoftmax(tf.div(logits, temperature!))), -1)
      return tf.neg(tf.mul(tf.mean(each), tf.square(temperature!))) as tf.Scalar
    }, variables)
    optimizer.apply(grads, learningRate as tf.Scalar)
    return { loss: value }
  }
}

const median = (values: number[]) => values.toSorted((a, b) => a - b)[values.length >> 1]!

/** Milliseconds a step, sorted. */
async function time(run: () => Promise<unknown>, { count, each }: { count: number; each: number }): Promise<number[]> {
  const times: number[] = []
  for (let i = 0; i < count + 2; i++) {
    const start = performance.now()
    await run()
    times.push((performance.now() - start) / each)
  }
  return times.slice(2).sort((a, b) => a - b)
}

async function measure(name: string): Promise<void> {
  const steps = name === 'mlp:128' ? 200 : name.startsWith('mlp') ? 40 : 12
  const engine = await openOnnx({ threads })
  const one = await engine.compile(await makeStep(name), { inputs: specs })
  const many = await engine.compile(await makeStep(name), { inputs: specs, stacked: true })
  const [single, stacked] = [makeInputs(1), makeInputs(scan)]
  const eager = await makeStep(name)
  const eagerOn = (backend: string) => {
    const program = eagerProgram(eager, { inputs: specs, backend })
    return time(() => program.run(single), { count: 1, each: 1 })
  }
  const torch = fileURLToPath(new URL('pytorch.py', import.meta.url))
  const contenders: Record<string, () => Promise<number[]>> = {
    'onnx, 1 a call': () => time(() => one.run(single), { count: steps, each: 1 }),
    [`onnx, ${scan} a call`]: () => time(() => many.run(stacked), { count: Math.ceil(steps / scan), each: scan }),
    PyTorch: async () =>
      execFileSync(process.env.DECANT_PYTHON ?? 'python3', [torch, name, `${threads}`, `${steps}`], {
        encoding: 'utf8',
      })
        .trim()
        .split('\n')
        .map(Number),
    'tfjs wasm': () => eagerOn('wasm'),
    // The plain JavaScript backend takes seconds a step for an image network.
    ...(name.startsWith('mlp') ? { 'tfjs cpu': () => eagerOn('cpu') } : {}),
  }
  const found: Record<string, number[][]> = {}
  for (let round = 0; round < rounds; round++) {
    for (const [contender, run] of Object.entries(contenders)) {
      const milliseconds = await run().catch(() => []) // a kernel that wasm lacks; no torch
      found[contender] = [...(found[contender] ?? []), milliseconds]
    }
  }
  const row = Object.entries(found).map(([contender, rounds]) => {
    const done = rounds.filter((times) => times.length > 0)
    if (done.length === 0) return `${contender} cannot`
    const fastest = Math.min(...done.map(([first]) => first!))
    return `${contender} ${median(done.map(median)).toFixed(2)} (${fastest.toFixed(2)})`
  })
  console.log(`${name}: ${row.join(' | ')}; load ${loadavg()[0]!.toFixed(1)}`)
  await engine.dispose()
}

tf.enableProdMode()
setThreadsCount(threads)
await tf.setBackend('cpu')
console.log(`milliseconds a step, batch ${batch}, Adam, ${threads} threads`)
const wanted = process.argv.slice(2)
for (const name of wanted) {
  if (!students[name]) throw new Error(`student '${name}': expected ${Object.keys(students).join(' or ')}`)
}
for (const name of wanted.length > 0 ? wanted : Object.keys(students)) await measure(name)
