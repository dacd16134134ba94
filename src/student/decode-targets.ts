import * as tf from '@tensorflow/tfjs-core'
import { codecOf, tailTable } from '../cache/index.js'
import { bucketedTargets, gatherColumns } from './bucketed-targets.js'
import { decouple, deviationOf, logSoftmax } from './losses.js'
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
    return bucketedTargets({ index, head: column('logits'), tailGap: tailGapOf(column), column, classes })
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

/**
 * h(T) [B, 1], from which log Σ_tail exp((z - shift)/T) = h/T + log n: a polynomial through the tail's nodes (FORMAT.md, "tail"). T is one
 * for all rows, or of each row, [B, 1]. The weights of all nodes sum to 1, and the others are stored below the first.
 */
function tailGapOf(column: Columns): (temperature: tf.Tensor) => tf.Tensor2D {
  const { softening, slope, offset, basis } = tailTable
  return (temperature) => {
    const T = tf.reshape(temperature, [-1, 1])
    const x = tf.add(tf.div(slope, tf.add(tf.mul(T, softening), 1)), offset)
    const angle = tf.acos(tf.clipByValue(x, -1, 1))
    const terms = tf.cos(tf.mul(tf.range(0, basis.length), angle)) as tf.Tensor2D
    const weights = tf.matMul(terms, tf.tensor2d(basis.slice(1)), false, true)
    return tf.add(column('tail_top'), tf.sum(tf.mul(column('tail'), weights), -1, true))
  }
}

/** Targets of raw logits, or of logits less a `shift` [B, 1] of each row. */
export function denseTargets(logits: tf.Tensor2D, shift?: tf.Tensor2D): TeacherTargets {
  return {
    kind: 'dense',
    logits: () => (shift ? tf.add(logits, shift) : logits),
    logProbs: (studentLogits, temperature, own = temperature) => ({
      teacher: logSoftmax(logits, own),
      student: logSoftmax(studentLogits, temperature),
    }),
    logTop: (temperature) => tf.max(logSoftmax(logits, temperature), -1) as tf.Tensor1D,
    deviation: () => deviationOf(logits),
    decouple: (studentLogits, labels, temperature) => ({
      teacher: decouple(logits, labels, temperature),
      student: decouple(studentLogits, labels, temperature),
    }),
  }
}
