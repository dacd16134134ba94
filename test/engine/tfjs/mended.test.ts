import * as tf from '@tensorflow/tfjs-core'
import { beforeAll, describe, expect, it } from 'vitest'
import { eagerProgram } from '../../../src/engine/eager.js'
import { type Engine, type InputSpec, openEngine, type Program, type Step } from '../../../src/engine/engine.js'
import { random } from '../../../src/random.js'

// Gradients that tfjs 4.22 has wrong, in its own derivation or in a kernel of one of its backends, against differences of what goes forward, along random directions.
// All of these operations are linear, or are so between kinks that a difference of this size does not cross.

const STEP = 2 ** -6

/** Distinct odd multiples of 1/8: no difference changes which of two is the larger, or a sign. */
function numbers(name: string, shape: readonly number[], shift = 0): Float32Array {
  const { permutation } = random('mended', name)
  return Float32Array.from(permutation(tf.util.sizeFromShape([...shape])), (i) => (2 * i - 39) / 8 + shift)
}

interface Case {
  name: string
  shapes: number[][]
  of(x: tf.Tensor, y: tf.Tensor): tf.Tensor
  shift?: number
}

const image = [2, 5, 4, 2]
const volume = [2, 4, 5, 3, 1]
const pool = (name: string, of: (x: tf.Tensor4D) => tf.Tensor): Case => ({
  name,
  shapes: [image],
  of: of as Case['of'],
})
const pool3d = (name: string, of: (x: tf.Tensor5D) => tf.Tensor, shift = 0): Case => ({
  ...{ name, shapes: [volume], of: of as Case['of'], shift },
})
const resize = (name: string, of: (x: tf.Tensor4D) => tf.Tensor) => pool(name, of)

const cases: Case[] = [
  pool('avgPool, same', (x) => tf.avgPool(x, 3, 2, 'same')),
  pool('avgPool, same, a window of two sizes', (x) => tf.avgPool(x, [2, 3], [1, 2], 'same')),
  pool('avgPool, padded', (x) => tf.avgPool(x, 3, 2, 1, 'floor')),
  pool3d('avgPool3d, same', (x) => tf.avgPool3d(x, 3, 2, 'same')),
  ...[0, 1, 2].map((axis) => ({
    name: `cumsum, axis ${axis}`,
    shapes: [[3, 3, 3]],
    of: (x: tf.Tensor) => tf.cumsum(x, axis),
  })),
  { name: 'cumsum, exclusive, reverse', shapes: [[3, 3]], of: (x) => tf.cumsum(x, 0, true, true) },
  {
    name: 'mirrorPad, reflect',
    shapes: [[3, 4]],
    of: (x) =>
      tf.mirrorPad(
        x,
        [
          [1, 0],
          [2, 3],
        ],
        'reflect',
      ),
  },
  {
    name: 'mirrorPad, symmetric',
    shapes: [[3, 4]],
    of: (x) =>
      tf.mirrorPad(
        x,
        [
          [1, 3],
          [2, 0],
        ],
        'symmetric',
      ),
  },
  { name: 'prod', shapes: [[2, 3]], of: (x) => tf.prod(tf.add(tf.div(x, 100), 1), 0) },
  {
    name: 'gather with a batch',
    shapes: [[2, 3]],
    of: (x) => tf.gather(x, tf.tensor2d([1, 0, 2, 1], [2, 2], 'int32'), 1, 1),
  },
  { ...pool('maxPool below 0', (x) => tf.maxPool(x, 2, 2, 'same')), shift: -100 },
  pool3d('maxPool3d below 0', (x) => tf.maxPool3d(x, 2, 2, 'same'), -100),
  {
    name: 'conv3d',
    shapes: [volume, [2, 2, 2, 1, 2]],
    of: (x, w) => tf.conv3d(x as tf.Tensor5D, w as tf.Tensor5D, 1, 'same'),
  },
  {
    name: 'conv3d, strides',
    shapes: [volume, [2, 2, 2, 1, 2]],
    of: (x, w) => tf.conv3d(x as tf.Tensor5D, w as tf.Tensor5D, 2, 'valid'),
  },
  {
    name: 'prelu, slopes of an axis before the last',
    shapes: [
      [2, 3, 4],
      [3, 1],
    ],
    of: (x, slopes) => tf.prelu(x, slopes),
  },
  resize('resizeNearestNeighbor', (x) => tf.image.resizeNearestNeighbor(x, [7, 6])),
  resize('resizeNearestNeighbor, smaller', (x) => tf.image.resizeNearestNeighbor(x, [3, 2], true)),
  resize('resizeNearestNeighbor, centres', (x) => tf.image.resizeNearestNeighbor(x, [7, 6], false, true)),
  resize('resizeBilinear', (x) => tf.image.resizeBilinear(x, [7, 6])),
  resize('resizeBilinear, centres', (x) => tf.image.resizeBilinear(x, [3, 6], false, true)),
]

/** Eager runs on wasm what wasm has kernels for. */
const engines: Partial<Record<'eager' | 'onnx', Engine>> = {}
beforeAll(async () => {
  engines.onnx = await openEngine('onnx', { threads: 1 })
  engines.eager = await openEngine('eager')
})

describe.each(cases)('the gradient of $name', ({ shapes, of, shift = 0 }) => {
  it.each(['cpu', 'eager', 'onnx'] as const)('is that of differences, on %s', async (backend) => {
    const given = shapes.map((shape, i) => numbers(`${i}`, shape, i === 0 ? shift : 0))
    const inputs: Record<string, InputSpec> = Object.fromEntries(
      shapes.map((shape, i) => [`x${i}`, { shape, dtype: 'float32' }]),
    )
    const loss = (...x: tf.Tensor[]) => {
      const y = of(x[0]!, x[1]!)
      return tf.sum(tf.mul(y, tf.tensor(numbers('coefficients', y.shape), y.shape))) as tf.Scalar
    }
    const step: Step = (fed) => {
      const { value, grads } = tf.valueAndGrads(loss)(shapes.map((_, i) => fed[`x${i}`]!))
      return { value, ...Object.fromEntries(grads.map((grad, i) => [`grad${i}`, grad])) }
    }
    const program: Program =
      backend === 'cpu' ? eagerProgram(step, { inputs, backend }) : await engines[backend]!.compile(step, { inputs })
    const run = (values: Float32Array[]) => program.run(Object.fromEntries(values.map((value, i) => [`x${i}`, value])))
    const found = await run(given)
    for (const direction of ['first', 'second', 'third']) {
      const signs = given.map((values, i) => {
        const { below } = random('direction', direction, i)
        return values.map(() => 2 * below(2) - 1)
      })
      const moved = (d: number) => run(given.map((values, i) => values.map((x, at) => x + d * signs[i]![at]!)))
      const difference = ((await moved(STEP)).value![0]! - (await moved(-STEP)).value![0]!) / (2 * STEP)
      const terms = signs.flatMap((own, i) => Array.from(own, (sign, at) => sign * found[`grad${i}`]![at]!))
      const size = Math.sqrt(terms.reduce((sum, term) => sum + term ** 2, 0))
      expect(Math.abs(terms.reduce((sum, term) => sum + term, 0) - difference)).toBeLessThan(0.01 * size)
    }
    await program.dispose()
  })
})
