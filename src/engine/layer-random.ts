import * as tf from '@tensorflow/tfjs-core'
import { RNN } from '@tensorflow/tfjs-layers'
import type { RandomSource } from './random.js'
import { cellsOf, type Recurrent } from './tfjs/masks.js'

interface LayerClass {
  prototype: { call(inputs: tf.Tensor | tf.Tensor[], options: { training?: boolean }): tf.Tensor | tf.Tensor[] }
}

interface NoisyLayer {
  rate: number
  stddev: number
  getNoiseShape?(x: tf.Tensor): number[] | undefined
  _getNoiseShape?(x: tf.Tensor): number[]
}

type Draw = (layer: NoisyLayer, x: tf.Tensor, source: RandomSource) => tf.Tensor

/** What tfjs's random layers do in training, drawn from a source. */
const draws: Record<string, Draw> = {
  Dropout(layer, x, source) {
    return tf.mul(x, drawMask(layer.getNoiseShape?.(x) ?? x.shape, layer.rate, source))
  },
  GaussianDropout(layer, x, source) {
    const deviation = Math.sqrt(layer.rate / (1 - layer.rate))
    return tf.mul(x, tf.add(1, tf.mul(source.normal(x.shape), deviation)))
  },
  GaussianNoise(layer, x, source) {
    return tf.add(x, tf.mul(source.normal(x.shape), layer.stddev))
  },
  /** Klambauer et al. 2017, "Self-Normalizing Neural Networks": dropped is -λα, and mean and variance are restored. */
  AlphaDropout(layer, x, source) {
    const dropped = -1.6732632423543772 * 1.0507009873554805
    const kept = tf.cast(tf.greaterEqual(source.uniform(layer._getNoiseShape?.(x) ?? x.shape), layer.rate), 'float32')
    const a = ((1 - layer.rate) * (1 + layer.rate * dropped ** 2)) ** -0.5
    const mixed = tf.add(tf.mul(x, kept), tf.mul(tf.sub(1, kept), dropped))
    return tf.add(tf.mul(mixed, a), -a * dropped * layer.rate)
  },
}

/** 0 for the share `rate` of the elements, and for the others what keeps the mean. */
function drawMask(shape: number[], rate: number, source: RandomSource): tf.Tensor {
  return tf.div(tf.cast(tf.greaterEqual(source.uniform(shape), rate), 'float32'), 1 - rate)
}

/** Runs `body` with tfjs's dropout and noise layers and its recurrent cells drawing from `source`, whichever backend they run on. */
export function withLayerRandom<T>(source: RandomSource, body: () => T): T {
  const classes = tf.serialization.SerializationMap.getMap().classNameMap
  const replaced = Object.entries(draws).map(([name, draw]) => {
    const { prototype } = classes[name]![0] as unknown as LayerClass
    const { call } = prototype
    prototype.call = function (this: NoisyLayer, inputs, options) {
      const off = this.rate !== undefined && !(this.rate > 0 && this.rate < 1)
      if (!options.training || off) return call.call(this, inputs, options)
      return tf.tidy(() => draw(this, Array.isArray(inputs) ? inputs[0]! : inputs, source))
    }
    return { prototype, call }
  })
  const recurrent = RNN.prototype as unknown as Recurrent
  const { call } = recurrent
  recurrent.call = function (this: Recurrent, inputs, options) {
    const cells = cellsOf(this)
    for (const cell of cells) cell.dropoutFunc = ({ shape }, rate) => drawMask(shape, rate, source)
    try {
      return call.call(this, inputs, options)
    } finally {
      for (const cell of cells) cell.dropoutFunc = null
    }
  }
  try {
    return body()
  } finally {
    recurrent.call = call
    for (const { prototype, call } of replaced) prototype.call = call
  }
}
