import '@tensorflow/tfjs-backend-cpu'
import * as tf from '@tensorflow/tfjs-core'
import '@tensorflow/tfjs-layers' // registers tfjs's gradients
import { afterAll, beforeAll, expect, test } from 'vitest'
import { eagerProgram } from '../../../src/engine/eager.js'
import type { Engine, Step } from '../../../src/engine/engine.js'
import { openOnnx } from '../../../src/engine/onnx/engine.js'

let engine: Engine

beforeAll(async () => {
  tf.enableProdMode()
  await tf.setBackend('cpu')
  engine = await openOnnx({ threads: 1 })
})
afterAll(() => engine.dispose())

const vector = { x: { shape: [3], dtype: 'float32' as const } }
const x = (...values: number[]) => ({ x: Float32Array.from(values) })

/** Adds x to a variable and gives the sum. */
function accumulator() {
  const total = tf.variable(tf.zeros([3]))
  const step = ({ x }: Record<string, tf.Tensor>) => {
    total.assign(tf.add(total, x!))
    return { total }
  }
  return { total, step }
}

test('a variable that the step assigns is state: it carries over to the next run', async () => {
  const { step } = accumulator()
  const program = await engine.compile(step, { inputs: vector })
  expect((await program.run(x(1, 2, 3))).total).toEqual(Float32Array.of(1, 2, 3))
  expect((await program.run(x(1, 1, 1))).total).toEqual(Float32Array.of(2, 3, 4))
})

test('the variable itself changes when the engine syncs, and compiling changes nothing', async () => {
  const { total, step } = accumulator()
  const program = await engine.compile(step, { inputs: vector })
  await program.run(x(1, 2, 3))
  expect([...total.dataSync()]).toEqual([0, 0, 0])
  await engine.sync()
  expect([...total.dataSync()]).toEqual([1, 2, 3])
})

test('a value that is assigned from outside is taken up by the next run, and not overwritten by a sync', async () => {
  const { total, step } = accumulator()
  const program = await engine.compile(step, { inputs: vector })
  await program.run(x(1, 2, 3))
  total.assign(tf.tensor([10, 10, 10]))
  await engine.sync()
  expect([...total.dataSync()]).toEqual([10, 10, 10])
  expect((await program.run(x(1, 2, 3))).total).toEqual(Float32Array.of(11, 12, 13))
})

test('programs share the variables', async () => {
  const { total, step } = accumulator()
  const train = await engine.compile(step, { inputs: vector })
  const read = await engine.compile(({ x }) => ({ y: tf.mul(total, x!) }), { inputs: vector })
  await train.run(x(1, 2, 3))
  expect((await read.run(x(2, 2, 2))).y).toEqual(Float32Array.of(2, 4, 6))
})

test('runs that are not awaited happen in order', async () => {
  const { step } = accumulator()
  const program = await engine.compile(step, { inputs: vector })
  const runs = await Promise.all([1, 2, 3].map((value) => program.run(x(value, 0, 0))))
  expect(runs.map(({ total }) => total![0])).toEqual([1, 3, 6])
})

test('a stack of steps has a leading axis of steps in inputs and outputs, as many as a call gives', async () => {
  const { total, step } = accumulator()
  const scale = tf.variable(tf.tensor([1, 2, 3]))
  const scaled = ({ x }: Record<string, tf.Tensor>) => step({ x: tf.mul(x!, scale) })
  const program = await engine.compile(scaled, { inputs: vector, stacked: true })
  expect((await program.run(x(1, 1, 1, 2, 2, 2))).total).toEqual(Float32Array.of(1, 2, 3, 3, 6, 9))
  expect((await program.run(x(1, 0, 0))).total).toEqual(Float32Array.of(4, 6, 9))
  expect((await program.run(x(0, 0, 1))).total).toEqual(Float32Array.of(4, 6, 12))
  await engine.sync()
  expect([...total.dataSync()]).toEqual([4, 6, 12])
})

test('a variable that the step creates starts from the value that it is created with', async () => {
  let counter: tf.Variable | undefined
  const step = ({ x }: Record<string, tf.Tensor>) => {
    counter ??= tf.variable(tf.fill([3], 5))
    counter.assign(tf.add(counter, x!))
    return { counter }
  }
  const program = await engine.compile(step, { inputs: vector })
  expect([...counter!.dataSync()]).toEqual([5, 5, 5])
  await program.run(x(1, 1, 1))
  expect((await program.run(x(1, 1, 1))).counter).toEqual(Float32Array.of(7, 7, 7))
})

test('optimizers of tf.train are traced with their slots', async () => {
  const weight = tf.variable(tf.tensor([1, 2, 3]))
  const start = tf.clone(weight)
  const loss = (x: tf.Tensor) => tf.sum(tf.square(tf.sub(weight, x))) as tf.Scalar
  const stepOf = (optimizer: tf.Optimizer) => (inputs: Record<string, tf.Tensor>) => ({
    loss: optimizer.minimize(() => loss(inputs.x!), true, [weight])!,
  })
  const eager = stepOf(tf.train.adam(0.1))
  const expected = [1, 2, 3].map((value) => eager({ x: tf.tensor([value, 0, 0]) }).loss.dataSync()[0]!)
  weight.assign(start)
  const program = await engine.compile(stepOf(tf.train.adam(0.1)), { inputs: vector })
  for (const [i, value] of [1, 2, 3].entries()) {
    expect((await program.run(x(value, 0, 0))).loss![0]).toBeCloseTo(expected[i]!, 5)
  }
})

test('uint8 and int32 inputs arrive as int32', async () => {
  const inputs = { a: { shape: [2], dtype: 'uint8' as const }, b: { shape: [2], dtype: 'int32' as const } }
  const program = await engine.compile(({ a, b }) => ({ sum: tf.add(a!, b!) }), { inputs })
  const { sum } = await program.run({ a: Uint8Array.of(255, 1), b: Int32Array.of(-1, 70000) })
  expect(sum).toEqual(Float32Array.of(254, 70001))
})

test('uint16 inputs arrive as int32, float16 inputs as the float32 values that their bits are', async () => {
  const bits = Uint16Array.from({ length: 65536 }, (_, i) => i)
  const step: Step = ({ half, word }) => ({ half: tf.mul(half!, 1), word: tf.cast(word!, 'float32') })
  const inputs = {
    half: { shape: [65536], dtype: 'float16' as const },
    word: { shape: [65536], dtype: 'uint16' as const },
  }
  const found = await (await engine.compile(step, { inputs })).run({ half: bits, word: bits })
  expect(found.word).toEqual(Float32Array.from(bits))
  const known = { 0: 0, 1: 2 ** -24, 1023: 1023 * 2 ** -24, 1024: 2 ** -14, 15360: 1, 15361: 1 + 2 ** -10 }
  for (const [half, value] of Object.entries({ ...known, 31743: 65504, 31744: Infinity, 49152: -2 })) {
    expect(found.half![Number(half)]).toBe(value)
  }
  expect(await eagerProgram(step, { inputs, backend: 'cpu' }).run({ half: bits, word: bits })).toEqual(found)
})

test('reading a value inside the step is an error that names the line', async () => {
  const reading = engine.compile(({ x }) => ({ y: tf.scalar(tf.sum(x!).dataSync()[0]!) }), { inputs: vector })
  await expect(reading).rejects.toThrow(
    /the step reads a value .* only when the program runs, at .*program\.test\.ts:\d+/,
  )
  expect(tf.getBackend()).toBe('cpu')
})

test('a kernel that is missing is an error that names it and the line', async () => {
  const missing = engine.compile(({ x }) => ({ y: tf.real(tf.complex(x!, x!)) }), { inputs: vector })
  await expect(missing).rejects.toThrow(/no kernel Complex, at .*program\.test\.ts:\d+/)
})

test('a step that fails leaves variables, backend and tensors as they were', async () => {
  const { total } = accumulator()
  const before = tf.memory().numTensors
  const failing = engine.compile(
    ({ x }) => {
      total.assign(x!)
      tf.variable(tf.zeros([2]))
      throw new Error('no')
    },
    { inputs: vector },
  )
  await expect(failing).rejects.toThrow('no')
  expect([...total.dataSync()]).toEqual([0, 0, 0])
  expect([tf.getBackend(), tf.memory().numTensors]).toEqual(['cpu', before])
})

test('inputs are checked', async () => {
  const program = await engine.compile(({ x }) => ({ x: x! }), { inputs: vector })
  expect(() => program.run({ x: Float32Array.of(1) })).toThrow("input 'x': expected 3 elements [3], found 1")
  expect(() => program.run({})).toThrow("input 'x': expected float32, found nothing")
  const inputs = { x: vector.x, rate: { shape: [], dtype: 'float32' as const } }
  const stacked = await engine.compile(({ x, rate }) => ({ y: tf.mul(x!, rate!) }), { inputs, stacked: true })
  expect(() => stacked.run({ ...x(1, 2, 3, 4, 5, 6), rate: Float32Array.of(1) })).toThrow(
    "input 'rate': expected 2 elements [2], found 1",
  )
  expect(() => stacked.run({ ...x(1, 2, 3, 4), rate: Float32Array.of(1) })).toThrow(
    "input 'x': expected 3 elements [1, 3], found 4",
  )
})

test('a program prints its graph', async () => {
  const { total, step } = accumulator()
  const program = await engine.compile(step, { inputs: vector })
  expect(program.print!()).toBe(`step(${total.name}: float32[3], x: float32[3]) {
  ${total.name}.next = Add(${total.name}, x)
  total = Identity(${total.name}.next)
  -> ${total.name}.next: float32[3]
  -> total: float32[3]
}`)
})
