import * as tf from '@tensorflow/tfjs-core'
import { codecOf, tailTable } from '../cache/index.js'
import { logSoftmax } from './losses.js'
import { inputOf, type StoredTargets, type TeacherTargets } from './targets.js'

// Codecs once more, as tfjs code: what a step's graph does with the columns of a batch (B rows, C classes). src/cache/codecs has them as
// arithmetic on arrays, and FORMAT.md as text. Logits here are below the row's top logit, `shift`, which no softmax sees: it would cost digits.

type Columns = (name: string) => tf.Tensor2D

/** The targets of a batch from the inputs of a step. */
export function decodeTargets(
  { codec, classes, columns }: StoredTargets,
  inputs: Record<string, tf.Tensor>,
): TeacherTargets {
  const column: Columns = (name) => inputs[inputOf(name)] as tf.Tensor2D
  if (codecOf(codec).kind === 'bucketed') {
    const index = column('index')
    return bucketedTargets({ index, head: column('logits'), tailGap: tailGapOf(column), classes })
  }
  const shift = columns.some(({ name }) => name === 'shift') ? column('shift') : undefined
  return denseTargets(denseLogits(codec.split(':')[0]!, column, classes), shift)
}

function denseLogits(family: string, column: Columns, classes: number): tf.Tensor2D {
  switch (family) {
    case 'q8':
      return tf.neg(expand(column('q'), column('scale')))
    case 'hybrid':
      return tf.neg(hybridGaps(column, classes))
    default:
      return column('logits')
  }
}

/** widest·(q/255)² of bytes. */
const expand = (q: tf.Tensor, widest: tf.Tensor): tf.Tensor2D =>
  tf.mul(tf.square(tf.div(tf.cast(q, 'float32'), 255)), widest) as tf.Tensor2D

/** Codec hybrid: a nibble a class, of which 15 says that the class is the next of the head. */
function hybridGaps(column: Columns, classes: number): tf.Tensor2D {
  const bytes = tf.cast(column('codes'), 'float32')
  const [rows, width] = bytes.shape as [number, number]
  const high = tf.floor(tf.div(bytes, 16))
  const nibbles = tf.reshape(tf.stack([tf.sub(bytes, tf.mul(high, 16)), high], 2), [rows, 2 * width])
  const codes = tf.slice(nibbles, [0, 0], [rows, classes])
  const isHead = tf.equal(codes, 15)
  const [widest, least, most] = tf.split(column('scales'), 3, 1) as [tf.Tensor, tf.Tensor, tf.Tensor]
  const levels = tf.pow(tf.div(tf.minimum(codes, 14), 14), 1.5)
  const rest = tf.add(least, tf.mul(tf.sub(most, least), levels))
  const head = expand(column('head'), widest)
  const slot = tf.sub(tf.cumsum(tf.cast(isHead, 'float32'), 1), 1)
  const there = tf.cast(tf.clipByValue(slot, 0, head.shape[1] - 1), 'int32') as tf.Tensor2D
  return tf.where(isHead, gatherColumns(head, there), rest) as tf.Tensor2D
}

/** x[b, index[b, i]], [B, i]. */
function gatherColumns(x: tf.Tensor2D, index: tf.Tensor2D): tf.Tensor {
  return tf.gather(tf.reshape(x, [x.size]), flatten(index, x.shape[1])) as tf.Tensor
}

/** Where [b, index[b, i]] lies in a row-major table of `width` columns. */
function flatten(index: tf.Tensor2D, width: number): tf.Tensor2D {
  const starts = tf.mul(tf.range(0, index.shape[0], 1, 'int32'), tf.scalar(width, 'int32'))
  return tf.add(index, tf.expandDims(starts, 1))
}

/**
 * h(T) [B, 1], from which log Σ_tail exp((z - shift)/T) = h/T + log n: a polynomial through the tail's nodes (FORMAT.md, "tail").
 * The weights of all nodes sum to 1, and the others are stored below the first.
 */
function tailGapOf(column: Columns): (temperature: tf.Scalar) => tf.Tensor2D {
  const { softening, slope, offset, basis } = tailTable
  return (temperature) => {
    const x = tf.add(tf.div(slope, tf.add(tf.mul(temperature, softening), 1)), offset)
    const angle = tf.acos(tf.clipByValue(x, -1, 1))
    const terms = tf.cos(tf.mul(tf.range(0, basis.length), angle))
    const weights = tf.matMul(tf.tensor2d(basis.slice(1)), tf.expandDims(terms, 1))
    return tf.add(column('tail_top'), tf.matMul(column('tail'), weights))
  }
}

/** Targets of raw logits, or of logits less a `shift` [B, 1] of each row. */
export function denseTargets(logits: tf.Tensor2D, shift?: tf.Tensor2D): TeacherTargets {
  return {
    kind: 'dense',
    logits: () => (shift ? tf.add(logits, shift) : logits),
    logProbs: (studentLogits, temperature) => ({
      teacher: logSoftmax(logits, temperature),
      student: logSoftmax(studentLogits, temperature),
    }),
  }
}

/** Targets of k classes, `index` and `head` [B, k], and the rest. */
function bucketedTargets(options: {
  index: tf.Tensor2D
  head: tf.Tensor2D
  tailGap: (temperature: tf.Scalar) => tf.Tensor2D
  classes: number
}): TeacherTargets {
  const { index, head, tailGap, classes } = options
  const one = tf.scalar(1)
  return {
    kind: 'bucketed',
    logits: () => {
      throw new TypeError("a method that calls logits() says so: needs: { teacher: 'dense' }")
    },
    logProbs: (studentLogits, temperature) => {
      const tail = tf.add(tf.div(tailGap(temperature), temperature), Math.log(classes - index.shape[1]))
      const teacher = tf.concat([tf.div(head, temperature), tail], 1) as tf.Tensor2D
      return {
        teacher: logSoftmax(teacher, one),
        student: logSoftmax(gatherBuckets(studentLogits, index, temperature), one),
      }
    },
  }
}

/**
 * z/T of the classes in `index` and log Σ exp(z/T) of all others, less the row's top logit over T, [B, k + 1]. With a gradient of its own:
 * a class of the tail gets its share of the tail's.
 */
export function gatherBuckets(logits: tf.Tensor2D, index: tf.Tensor2D, temperature: tf.Scalar): tf.Tensor2D {
  const [rows, classes] = logits.shape
  const k = index.shape[1]
  return tf.customGrad((x, save) => {
    const z = tf.sub(x as tf.Tensor, tf.max(x as tf.Tensor, -1, true)) as tf.Tensor2D
    const flat = tf.reshape(flatten(index, classes), [rows * k, 1])
    const isHead = tf.equal(tf.reshape(tf.scatterND(flat, tf.ones([rows * k]), [rows * classes]), [rows, classes]), 1)
    const others = tf.where(isHead, tf.fill([rows, classes], ABSENT), z)
    const top = tf.max(others, -1, true)
    const exps = tf.exp(tf.div(tf.sub(others, top), temperature))
    const sum = tf.sum(exps, -1, true)
    const tail = tf.add(tf.div(top, temperature), tf.log(sum))
    ;(save as tf.GradSaveFunc)([flat, tf.div(exps, sum), temperature])
    const gradFunc = (dy: tf.Tensor, saved: tf.Tensor[]) => {
      const [flat, shares, T] = saved as [tf.Tensor, tf.Tensor, tf.Tensor]
      const [toHead, toTail] = tf.split(dy, [k, 1], 1) as [tf.Tensor, tf.Tensor]
      const scattered = tf.scatterND(flat, tf.reshape(toHead, [rows * k]), [rows * classes])
      return tf.div(tf.add(tf.reshape(scattered, [rows, classes]), tf.mul(shares, toTail)), T)
    }
    return { value: tf.concat([tf.div(gatherColumns(z, index), temperature), tail], 1), gradFunc }
  })(logits) as tf.Tensor2D
}

/** A logit that no softmax sees. */
const ABSENT = -1e30
