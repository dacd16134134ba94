import * as tf from '@tensorflow/tfjs-core'
import { initializers, type LayerVariable, layers } from '@tensorflow/tfjs-layers'

// Layers that branches are made of and tfjs does not have.

type Shape = (number | null)[]

/** Images of another size: each pixel repeated and what is over cut off, or `bilinear` with the corners aligned. */
export class Enlarge extends layers.Layer {
  static className = 'Enlarge'
  readonly size: [height: number, width: number]
  readonly by: 'repeated' | 'bilinear'
  constructor({ name, size, by }: { name: string; size: [number, number]; by: 'repeated' | 'bilinear' }) {
    super({ name })
    this.size = size
    this.by = by
  }
  override computeOutputShape(shape: Shape): Shape {
    return [shape[0]!, ...this.size, shape[3]!]
  }
  override call(x: tf.Tensor | tf.Tensor[]): tf.Tensor {
    const [images] = [x].flat() as [tf.Tensor4D]
    if (this.by === 'repeated') return repeat(images, this.size)
    return tf.image.resizeBilinear(images, this.size, true)
  }
}

/** Not by resizeNearestNeighbor, whose gradient is wrong in tfjs's own backends. */
function repeat(images: tf.Tensor4D, [height, width]: [number, number]): tf.Tensor4D {
  const [rows, h, w, channels] = images.shape
  const [down, right] = [Math.ceil(height / h), Math.ceil(width / w)]
  const taller = tf.mul(tf.reshape(images, [rows * h, 1, w, channels]), tf.ones([1, down, 1, 1]))
  const wider = tf.mul(tf.reshape(taller, [rows * h * down, w, 1, channels]), tf.ones([1, 1, right, 1]))
  const larger = tf.reshape(wider, [rows, h * down, w * right, channels]) as tf.Tensor4D
  return tf.slice(larger, [0, 0, 0, 0], [rows, height, width, channels])
}

/** Σ w_i·x_i / (Σ w_i + 1e-6) of inputs of one shape, w ≥ 0 learnt, 1 at first (Tan et al. 2020, EfficientDet, section 3.3). */
export class WeightedSum extends layers.Layer {
  static className = 'WeightedSum'
  private shares: LayerVariable | undefined
  override build(shapes: Shape | Shape[]): void {
    this.shares = this.addWeight('shares', [shapes.length], 'float32', initializers.ones())
    this.built = true
  }
  override computeOutputShape(shapes: Shape | Shape[]): Shape {
    return shapes[0] as Shape
  }
  override call(x: tf.Tensor | tf.Tensor[]): tf.Tensor {
    const shares = tf.relu(this.shares!.read())
    const weights = tf.div(shares, tf.add(tf.sum(shares), 1e-6))
    return tf.addN([x].flat().map((input, i) => tf.mul(input, tf.slice(weights, i, 1))))
  }
}
