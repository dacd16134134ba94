import * as tf from '@tensorflow/tfjs-core'
import { beforeAll, describe, expect, it } from 'vitest'
import { type Engine, openEngine, type Step } from '../../src/engine/engine.js'

let engine: Engine
beforeAll(async () => {
  engine = await openEngine('eager')
})

const x = { shape: [2], dtype: 'float32' as const }

describe('the eager engine', () => {
  it('runs a step: assigns its variables and gives what it returns', async () => {
    const sum = tf.variable(tf.zeros([2]))
    const step: Step = ({ x }) => {
      sum.assign(tf.add(sum, x!))
      return { twice: tf.mul(sum, 2) }
    }
    const program = await engine.compile(step, { inputs: { x } })
    expect(await program.run({ x: Float32Array.of(1, 2) })).toEqual({ twice: Float32Array.of(2, 4) })
    expect(await program.run({ x: Float32Array.of(1, 2) })).toEqual({ twice: Float32Array.of(4, 8) })
    await engine.sync()
    expect(Array.from(sum.dataSync())).toEqual([2, 4])
  })

  it('runs a stack of steps one after another', async () => {
    const sum = tf.variable(tf.zeros([2]))
    const step: Step = ({ x }) => {
      sum.assign(tf.add(sum, x!))
      return { sum: tf.clone(sum) }
    }
    const program = await engine.compile(step, { inputs: { x }, stacked: true })
    expect(await program.run({ x: Float32Array.of(1, 2, 3, 4) })).toEqual({ sum: Float32Array.of(1, 2, 4, 6) })
    expect(await program.run({ x: Float32Array.of(1, 1) })).toEqual({ sum: Float32Array.of(5, 7) })
  })

  it('does not run the step for good when it compiles it', async () => {
    const count = tf.variable(tf.scalar(0))
    await engine.compile(
      () => {
        count.assign(tf.add(count, 1))
        return {}
      },
      { inputs: {} },
    )
    expect(count.dataSync()[0]).toBe(0)
  })

  it('nor for the variables that the step creates', async () => {
    let total: tf.Variable | undefined
    const step: Step = ({ x }) => {
      total ??= tf.variable(tf.zeros([2]))
      total.assign(tf.add(total, tf.div(x!, x!))) // of zeros, NaN
      return { y: tf.clone(total) }
    }
    const program = await engine.compile(step, { inputs: { x } })
    expect(await program.run({ x: Float32Array.of(1, 2) })).toEqual({ y: Float32Array.of(1, 1) })
  })

  it('feeds bytes as int32', async () => {
    const step: Step = ({ x }) => ({ dtype: tf.scalar(x!.dtype === 'int32' ? 1 : 0), x: tf.cast(x!, 'float32') })
    const program = await engine.compile(step, { inputs: { x: { shape: [2], dtype: 'uint8' } } })
    expect(await program.run({ x: Uint8Array.of(0, 255) })).toEqual({
      dtype: Float32Array.of(1),
      x: Float32Array.of(0, 255),
    })
  })

  it('takes wasm where it has the kernels, else cpu, and says which is missing', async () => {
    const easy = await engine.compile(({ x }) => ({ y: tf.exp(x!) }), { inputs: { x } })
    expect([easy.backend, easy.reason]).toEqual(['wasm', undefined])
    const filter = tf.variable(tf.ones([1, 1, 1, 1]))
    const step: Step = ({ x }) => {
      const loss = () =>
        tf.sum(tf.conv2d(tf.reshape(x!, [1, 2, 1, 1]) as tf.Tensor4D, filter as tf.Tensor4D, 1, 'same')) as tf.Scalar
      const { value, grads } = tf.variableGrads(loss, [filter])
      filter.assign(tf.sub(filter, grads[filter.name]!))
      return { value }
    }
    const hard = await engine.compile(step, { inputs: { x } })
    expect([hard.backend, hard.reason]).toEqual(['cpu', "tfjs's wasm backend has no Conv2DBackpropFilter kernel"])
    expect(await hard.run({ x: Float32Array.of(1, 2) })).toEqual({ value: Float32Array.of(3) })
    expect(filter.dataSync()[0]).toBe(1 - 3)
  })

  it("passes on an error of the step's own", async () => {
    const step: Step = () => {
      throw new Error('mine')
    }
    await expect(engine.compile(step, { inputs: {} })).rejects.toThrow('mine')
  })

  it('keeps no tensor of a step', async () => {
    const program = await engine.compile(({ x }) => ({ y: tf.exp(tf.add(x!, 1)) }), { inputs: { x } })
    const before = tf.memory().numTensors
    await program.run({ x: Float32Array.of(1, 2) })
    expect(tf.memory().numTensors).toBe(before)
  })

  it.each([
    [{}, "input 'x': expected float32, found nothing"],
    [{ x: Int32Array.of(1, 2) }, "input 'x': expected float32, found Int32Array"],
    [{ x: Float32Array.of(1) }, "input 'x': expected 2 elements [2], found 1"],
    [{ x: Float32Array.of(1, 2), z: Float32Array.of(1) }, "input 'z': the step has no such input"],
  ])('refuses other inputs than declared: %s', async (inputs, message) => {
    const program = await engine.compile(({ x }) => ({ y: tf.neg(x!) }), { inputs: { x } })
    await expect(async () => program.run(inputs as Record<string, ArrayBufferView>)).rejects.toThrow(message)
  })

  it("leaves the process's error handlers as they were", () => {
    const loud = process.listeners('unhandledRejection').filter((listener) => /throw reason/.test(String(listener)))
    expect(loud).toEqual([])
  })
})
