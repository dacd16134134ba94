import * as tf from '@tensorflow/tfjs-core'
import { TAIL_RANGE } from '../cache/index.js'
import { ABSENT, decouple, logSoftmax, oneHot, withoutLabel } from './losses.js'
import { ownGradient, sumTo } from './own-gradient.js'
import type { Decoupled, TeacherTargets } from './targets.js'

interface BucketedOptions {
  /** The known classes, [B, k] */
  index: tf.Tensor2D
  /** and their logits, less the row's top logit. */
  head: tf.Tensor2D
  /** h(T) [B, 1], from which log Σ_tail exp(z/T) = h/T + log n, for T [] or [B, 1]. */
  tailGap: (temperature: tf.Tensor) => tf.Tensor2D
  /** Further columns of the cache, [B, 1]; of count [B, k]. */
  column: (name: 'label_logit' | 'std' | 'count') => tf.Tensor2D
  classes: number
}

/** Targets of k classes and the rest. */
export function bucketedTargets(options: BucketedOptions): TeacherTargets {
  const { index, head, tailGap, column, classes } = options
  const one = tf.scalar(1)
  const left = classes - index.shape[1]
  const tail = (temperature: tf.Tensor) => tf.add(tf.div(tailGap(temperature), temperature), Math.log(left))
  const bucketsAt = (temperature: tf.Tensor) =>
    tf.concat([tf.div(head, temperature), tail(temperature)] as tf.Tensor2D[], 1)
  return {
    kind: 'bucketed',
    logits: () => {
      throw new TypeError("a method that calls logits() says so: needs: { teacher: 'dense' }")
    },
    logProbs: (studentLogits, temperature, own = temperature) => {
      // The tail is not known beyond; where all logits are equal, and the deviation 0, every temperature gives the same.
      const known = own === temperature ? own : tf.clipByValue(own, TAIL_RANGE.low, TAIL_RANGE.high)
      return {
        teacher: logSoftmax(bucketsAt(known), one),
        student: logSoftmax(gatherBuckets(studentLogits, index, temperature), one),
      }
    },
    drawn: (temperature) => {
      // Drawn at T = 1: at another T a draw counts for p^T/p, the same for all of a row but for exp(z/T - z).
      const count = tf.cast(column('count'), 'float32')
      const weights = tf.add(tf.log(tf.maximum(count, 1)), tf.mul(head, tf.sub(tf.div(1, temperature), 1)))
      const absent = tf.fill(head.shape, ABSENT)
      const drawn = tf.exp(logSoftmax(tf.where(tf.equal(count, 0), absent, weights) as tf.Tensor2D, one))
      return tf.pad(drawn, [
        [0, 0],
        [0, 1], // the tail
      ]) as tf.Tensor2D
    },
    // The row's top logit is 0 here.
    logTop: (temperature) => tf.neg(tf.logSumExp(bucketsAt(temperature), -1)) as tf.Tensor1D,
    deviation: () => tf.mul(column('std'), Math.sqrt(classes / (classes - 1))) as tf.Tensor2D,
    decouple: (studentLogits, labels, temperature) => {
      const hot = oneHot(labels, classes)
      const others = gatherBuckets(withoutLabel(studentLogits, hot), index, temperature)
      return {
        teacher: decoupleBuckets({ ...options, labels, temperature, tail: tail(temperature) as tf.Tensor2D, left }),
        student: { binary: decouple(studentLogits, labels, temperature).binary, others: logSoftmax(others, one) },
      }
    },
  }
}

/** The least of the tail that stays when the label's class is taken out of it: what the codec knows of its mass is no finer. */
const LEAST = 2 ** -10

/** The label's class taken out of its bucket: out of the tail by its own logit, which the cache keeps. */
function decoupleBuckets(
  options: BucketedOptions & { labels: tf.Tensor1D; temperature: tf.Tensor; tail: tf.Tensor2D; left: number },
): Decoupled {
  const { index, head, column, labels, temperature, tail, left } = options
  const given = column('label_logit')
  const own = tf.div(tf.where(tf.isNaN(given), tf.zerosLike(given), given), temperature)
  const isOwn = tf.equal(index, tf.expandDims(labels, 1))
  const inHead = tf.any(isOwn, -1, true)
  const absent = tf.div(tf.fill(head.shape, ABSENT), temperature)
  const share = tf.maximum(tf.sub(1, tf.exp(tf.minimum(tf.sub(own, tail), 0))), LEAST)
  const rest = left > 1 ? tf.add(tail, tf.log(share)) : tf.div(tf.fill(tail.shape, ABSENT), temperature)
  const buckets = [tf.where(isOwn, absent, tf.div(head, temperature)), tf.where(inHead, tail, rest)]
  const others = tf.concat(buckets, 1) as tf.Tensor2D
  const pair = tf.concat([own, tf.logSumExp(others, -1, true)], 1) as tf.Tensor2D
  const one = tf.scalar(1)
  return { binary: logSoftmax(pair, one), others: logSoftmax(others, one) }
}

/** x[b, index[b, i]], [B, i]. */
export function gatherColumns(x: tf.Tensor2D, index: tf.Tensor2D): tf.Tensor {
  return tf.gather(tf.reshape(x, [x.size]), flatten(index, x.shape[1])) as tf.Tensor
}

/** Where [b, index[b, i]] lies in a row-major table of `width` columns. */
function flatten(index: tf.Tensor2D, width: number): tf.Tensor2D {
  const starts = tf.mul(tf.range(0, index.shape[0], 1, 'int32'), tf.scalar(width, 'int32'))
  return tf.add(index, tf.expandDims(starts, 1))
}

/**
 * z/T of the classes in `index` and log Σ exp(z/T) of all others, less the row's top logit over T, [B, k + 1], for T [] or [B, 1]. With a
 * gradient of its own: a class of the tail gets its share of the tail's. None flows into the top logit, which no softmax over the buckets sees.
 */
export function gatherBuckets(logits: tf.Tensor2D, index: tf.Tensor2D, temperature: tf.Tensor): tf.Tensor2D {
  const [rows, classes] = logits.shape
  const k = index.shape[1]
  return ownGradient<tf.Tensor2D>(
    [logits, temperature],
    (x, T) => {
      const z = tf.sub<tf.Tensor2D>(x!, tf.max(x!, -1, true))
      const flat = tf.reshape(flatten(index, classes), [rows * k, 1])
      const isHead = tf.equal(tf.reshape(tf.scatterND(flat, tf.ones([rows * k]), [rows * classes]), [rows, classes]), 1)
      const others = tf.where(isHead, tf.fill([rows, classes], ABSENT), z)
      const top = tf.max(others, -1, true)
      const exps = tf.exp(tf.div(tf.sub(others, top), T!))
      const sum = tf.sum(exps, -1, true)
      const tail = tf.add(tf.div(top, T!), tf.log(sum))
      const value = tf.concat<tf.Tensor2D>([tf.div(gatherColumns(z, index), T!), tail] as tf.Tensor2D[], 1)
      return { value, saved: [flat, tf.div(exps, sum), z, T!] }
    },
    (dy, saved) => {
      const [flat, shares, z, T] = saved as [tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor]
      const [toHead, toTail] = tf.split(dy, [k, 1], 1) as [tf.Tensor, tf.Tensor]
      const scattered = tf.scatterND(flat, tf.reshape(toHead, [rows * k]), [rows * classes])
      const toLogits = tf.div(tf.add(tf.reshape(scattered, [rows, classes]), tf.mul(shares, toTail)), T)
      // The buckets depend on z/T alone.
      return [toLogits, sumTo(tf.neg(tf.div(tf.mul(toLogits, z), T)), T.shape)]
    },
  )
}
