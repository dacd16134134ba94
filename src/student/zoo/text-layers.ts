import * as tf from '@tensorflow/tfjs-core'
import { initializers, layers } from '@tensorflow/tfjs-layers'

// What tfjs's layers lack for sequences of tokens [B, L], 0 = padding. Registered, so that a saved student can be loaded where decant is.

type Shape = (number | null)[]
type Inputs = tf.Tensor | tf.Tensor[]

/** float32 [B, L]: 1 at tokens, 0 at padding. */
const present = (tokens: tf.Tensor) => tf.cast(tf.greater(tokens, 0), 'float32') as tf.Tensor2D

/** Sums over the positions up to each, [B, L, D]. A product, because tfjs 4.22's gradient of cumsum along an axis before the last is transposed. */
function prefixSum(x: tf.Tensor): tf.Tensor3D {
  const [, length] = x.shape as [number, number, number]
  const below = Float32Array.from({ length: length ** 2 }, (_, i) => (i % length <= Math.floor(i / length) ? 1 : 0))
  return tf.matMul(tf.tensor3d(below, [1, length, length]), x as tf.Tensor3D)
}

/** Of [x [B, L, D], tokens]: the mean over the tokens, [B, D]; where `causal`, at each position over those up to it, [B, L, D]. */
export class TokenMean extends layers.Layer {
  static className = 'DecantTokenMean'
  readonly causal: boolean
  constructor({ causal, ...args }: { causal: boolean; name?: string }) {
    super(args)
    this.causal = causal
  }
  override computeOutputShape([x]: Shape[]): Shape {
    return this.causal ? x! : [x![0]!, x![2]!]
  }
  override getConfig() {
    return { ...super.getConfig(), causal: this.causal }
  }
  override call(inputs: Inputs) {
    return tf.tidy(() => {
      const [x, tokens] = inputs as [tf.Tensor3D, tf.Tensor2D]
      const mask = tf.expandDims(present(tokens), 2)
      const kept = tf.mul(x, mask)
      const [sum, count] = this.causal ? [prefixSum(kept), prefixSum(mask)] : [tf.sum(kept, 1), tf.sum(mask, 1)]
      return tf.div(sum, tf.maximum(count, 1))
    })
  }
}

/** Adds an embedding of each position to x [B, L, D]. */
export class AddPositions extends layers.Layer {
  static className = 'DecantAddPositions'
  readonly seed: number
  private table?: ReturnType<layers.Layer['addWeight']>
  constructor({ seed = 1, ...args }: { seed?: number; name?: string }) {
    super(args)
    this.seed = seed
  }
  override build([, length, width]: Shape) {
    const normal = initializers.randomNormal({ stddev: 0.02, seed: this.seed })
    this.table = this.addWeight('positions', [length!, width!], 'float32', normal)
    this.built = true
  }
  override computeOutputShape(shape: Shape): Shape {
    return shape
  }
  override call(inputs: Inputs) {
    return tf.tidy(() => tf.add([inputs].flat()[0]!, this.table!.read()))
  }
}

/**
 * Scaled dot-product attention of several heads (Vaswani et al. 2017, equation 1) of [queries, keys, values [B, L, D], tokens], [B, L, D]:
 * to tokens only, and where `causal` to none that comes later.
 */
export class Attend extends layers.Layer {
  static className = 'DecantAttend'
  readonly heads: number
  readonly causal: boolean
  constructor({ heads, causal, ...args }: { heads: number; causal: boolean; name?: string }) {
    super(args)
    this.heads = heads
    this.causal = causal
  }
  override computeOutputShape([queries]: Shape[]): Shape {
    return queries!
  }
  override getConfig() {
    return { ...super.getConfig(), heads: this.heads, causal: this.causal }
  }
  override call(inputs: Inputs) {
    return tf.tidy(() => {
      const [queries, keys, values, tokens] = inputs as tf.Tensor[]
      const [batch, length, width] = queries!.shape as [number, number, number]
      const size = width / this.heads
      const split = (x: tf.Tensor) => tf.transpose(tf.reshape(x, [batch, length, this.heads, size]), [0, 2, 1, 3])
      const scores = tf.div(tf.matMul(split(queries!), split(keys!), false, true), Math.sqrt(size))
      const hidden = tf.reshape(tf.sub(present(tokens!), 1), [batch, 1, 1, length])
      const open = tf.add(scores, tf.mul(hidden, HIDDEN))
      const seen = this.causal ? tf.add(open, later(length)) : open
      const mixed = tf.matMul(tf.softmax(seen), split(values!))
      return tf.reshape(tf.transpose(mixed, [0, 2, 1, 3]), [batch, length, width])
    })
  }
}

/** Subtracted from scores that the softmax must not see. */
const HIDDEN = 1e9

/** -1e9 above the diagonal. */
function later(length: number): tf.Tensor2D {
  const values = Float32Array.from({ length: length * length }, (_, i) =>
    i % length > Math.floor(i / length) ? -HIDDEN : 0,
  )
  return tf.tensor2d(values, [length, length])
}

for (const layer of [TokenMean, AddPositions, Attend]) tf.serialization.registerClass(layer as never)
