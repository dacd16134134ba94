import '@tensorflow/tfjs-backend-cpu'
import * as tf from '@tensorflow/tfjs-core'
import { InferenceSession, type Tensor } from 'onnxruntime-node'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import type { Engine } from '../../../src/engine/engine.js'
import { openOnnx } from '../../../src/engine/onnx/engine.js'
import { missingWebgpu } from '../../helpers/webgpu.js'
import { expectSameTraining } from './same-training.js'

let engine: Engine

beforeAll(async () => {
  tf.enableProdMode()
  await tf.setBackend('cpu')
  engine = await openOnnx({ provider: 'webgpu' })
})
afterAll(() => engine.dispose())

describe.skipIf(missingWebgpu)('training on WebGPU', () => {
  test.each([
    ['mlp', 'adam', 20],
    ['mlp', 'momentum', 20],
    ['cnn', 'adam', 20],
    ['cnn', 'momentum', 20],
    ['residual', 'adam', 3],
    ['residual', 'momentum', 3],
  ])("%s with %s has tfjs's losses, %i steps", (student, optimizer, steps) =>
    expectSameTraining(engine, { student, optimizer, steps, weights: student !== 'residual', tolerance: 1e-3 }),
  )

  /** Adds x to a variable of 1000 elements and gives one number. */
  const accumulator = () => {
    const total = tf.variable(tf.zeros([1000]))
    const step = ({ x }: Record<string, tf.Tensor>) => {
      total.assign(tf.add(total, x!))
      return { sum: tf.sum(total) }
    }
    return { total, step }
  }
  const inputs = { x: { shape: [], dtype: 'float32' as const } }

  test('the state stays on the device: only the outputs come back, until a sync', async () => {
    const { total, step } = accumulator()
    const program = await engine.compile(step, { inputs })
    await program.run({ x: Float32Array.of(1) }) // puts the variable's first value there
    const calls: { fed: number[]; fetched: number[] }[] = []
    const onHost = (tensors: Record<string, Tensor>) =>
      Object.values(tensors).flatMap(({ location, size }) => (location === 'gpu-buffer' ? [] : [size]))
    const { prototype } = InferenceSession as unknown as { prototype: InferenceSession }
    const { run } = prototype
    const spy = vi.spyOn(prototype, 'run').mockImplementation(async function (this: InferenceSession, feeds, fetches) {
      const results = await run.call(this, feeds, fetches as InferenceSession.FetchesType)
      calls.push({ fed: onHost(feeds as Record<string, Tensor>), fetched: onHost(results as Record<string, Tensor>) })
      return results
    })
    try {
      for (let i = 0; i < 3; i++) await program.run({ x: Float32Array.of(1) })
      // One call a step; x goes in, the sum comes out, nothing else.
      expect(calls).toEqual([1, 2, 3].map(() => ({ fed: [1], fetched: [1] })))
      expect(total.dataSync()[0]).toBe(0)
      await engine.sync()
      expect(calls.slice(3)).toContainEqual({ fed: [], fetched: [1000] })
      expect(total.dataSync()).toEqual(new Float32Array(1000).fill(4))
    } finally {
      spy.mockRestore()
    }
  })

  test('the state outlives the program that wrote it, and is taken up by others', async () => {
    const { total, step } = accumulator()
    const train = await engine.compile(step, { inputs })
    await train.run({ x: Float32Array.of(2) })
    await train.dispose()
    const read = await engine.compile(({ x }) => ({ y: tf.mul(tf.sum(total), x!) }), { inputs })
    expect((await read.run({ x: Float32Array.of(2) })).y).toEqual(Float32Array.of(4000))
    total.assign(tf.ones([1000]))
    expect((await read.run({ x: Float32Array.of(2) })).y).toEqual(Float32Array.of(2000))
  })

  test('a stack of steps is a call for each', async () => {
    const { step } = accumulator()
    const program = await engine.compile(step, { inputs, stacked: true })
    expect((await program.run({ x: Float32Array.of(1, 2, 3) })).sum).toEqual(Float32Array.of(1000, 3000, 6000))
  })

  test('names the operators that the provider has no kernel for', async () => {
    const step = ({ x }: Record<string, tf.Tensor>) => ({ y: tf.round(x!) })
    await expect(engine.compile(step, { inputs })).rejects.toThrow(
      /^engine onnx: provider webgpu has no kernel for Round\(float32\)/,
    )
  })
})
