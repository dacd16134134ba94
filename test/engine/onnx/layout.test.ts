import '@tensorflow/tfjs-backend-cpu'
import * as tf from '@tensorflow/tfjs-core'
import '@tensorflow/tfjs-layers' // registers tfjs's gradients
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Engine, Step } from '../../../src/engine/engine.js'
import { openOnnx } from '../../../src/engine/onnx/engine.js'

let engine: Engine

beforeAll(async () => {
  await tf.setBackend('cpu')
  engine = await openOnnx({ threads: 1 })
})
afterAll(() => engine.dispose())

/** The lines of a printed graph, `a, b = Op(x, y) …`, by the values that they make. */
function parse(text: string): Map<string, { op: string; inputs: string[] }> {
  const nodes = [...text.matchAll(/^\s*(.+?) = (?:[\w.]+\.)?(\w+)\((.*?)\)/gm)]
  return new Map(
    nodes.flatMap(([, names, op, inputs]) =>
      names!.split(', ').map((name) => [name, { op: op!, inputs: inputs!.split(', ') }] as const),
    ),
  )
}

/** The operators from a node back to the next convolution, along the data and not the weights. */
function backToConv(nodes: ReturnType<typeof parse>, from: { inputs: string[] }): string[] {
  const before = nodes.get(from.inputs[0]!)
  if (!before || before.op === 'Conv') return before ? ['Conv'] : ['input']
  return [before.op, ...backToConv(nodes, before)]
}

test('tensors stay in one layout from convolution to convolution, pooling between them included: no Transpose', async () => {
  const kernels = [1, 16].map((channels) => tf.variable(tf.randomNormal([3, 3, channels, 16], 0, 0.1)))
  const head = tf.variable(tf.randomNormal([3 * 3 * 16, 2]))
  const step: Step = ({ x }) => {
    const { value, grads } = tf.variableGrads(() => {
      const features = kernels.reduce<tf.Tensor4D>(
        (y, kernel) => tf.maxPool(tf.relu(tf.conv2d(y, kernel as tf.Tensor4D, 1, 'same')), 2, 2, 'valid'),
        x as tf.Tensor4D,
      )
      return tf.sum(tf.matMul(tf.reshape(features, [8, -1]), head as tf.Tensor2D)) as tf.Scalar
    })
    for (const kernel of [...kernels, head]) kernel.assign(tf.sub(kernel, tf.mul(0.01, grads[kernel.name]!)))
    return { value }
  }
  const program = await engine.compile(step, { inputs: { x: { shape: [8, 12, 12, 1], dtype: 'float32' } } })
  const nodes = parse(program.print!())
  const paths = [...nodes.values()].filter(({ op }) => op === 'Conv').map((node) => backToConv(nodes, node))
  expect(paths).toContainEqual(['MaxPool', 'Conv'])
  // A kernel's gradient has the batch where a convolution has channels, so what it reads is put into another order first.
  const forwardAndBack = paths.filter((path) => path[0] !== 'ReorderInput')
  expect(forwardAndBack.length).toBeGreaterThan(2)
  expect(forwardAndBack.flat()).not.toContain('Transpose')
})
