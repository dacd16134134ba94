import * as tf from '@tensorflow/tfjs-core'
import { codecOf, MASKED_GAP, TAIL_RANGE, tailTable, WIDEST_GAP } from '../cache/index.js'
import { bucketedTargets, gatherColumns } from './bucketed-targets.js'
import { decouple, deviationOf, logSoftmax, presentIn } from './losses.js'
import { ownGradient } from './own-gradient.js'
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
    case 'f32':
      return raised(column('logits'))
    default:
      return column('logits')
  }
}

/** Of datasets that others wrote, too: a masked class as far below its row's top as one can be. */
function raised(logits: tf.Tensor2D): tf.Tensor2D {
  const top = tf.max(logits, -1, true)
  const least = tf.sub(top, WIDEST_GAP)
  // of logits so large that float32 has no such gap below them, none is
  const isLess = tf.logicalAnd(tf.less(logits, least), tf.greater(tf.sub(top, least), MASKED_GAP))
  return tf.where(isLess, least, logits) as tf.Tensor2D
}

/** widest·(q/255)² of bytes. */
const expand = (q: tf.Tensor, widest: tf.Tensor): tf.Tensor2D =>
  tf.mul(tf.square(tf.div(tf.cast(q, 'float32'), 255)), widest) as tf.Tensor2D

const powersOf = (base: number) => tf.tensor1d(Array.from({ length: 8 }, (_, i) => base ** i))
/** x less the integer below: of a number's bits over a power of two, those below it. */
const fraction = (x: tf.Tensor) => tf.sub(x, tf.floor(x))

/** Codec hybrid: a class's gap is its bin's start and as many steps as its fine position says, half a step more but in the first bin. */
function hybridGaps(column: Columns, classes: number): tf.Tensor2D {
  // zeros behind, so that no number ends where nothing is
  const bytes = tf.pad(tf.cast(column('bits'), 'float32'), [
    [0, 0],
    [0, 6],
  ]) as tf.Tensor2D
  const [rows, length] = bytes.shape
  // numbers of three bits, eight in three bytes: the bins' widths, then the classes' bins
  const groups = 1 + Math.ceil(classes / 8)
  const triples = tf.reshape(tf.slice(bytes, [0, 0], [rows, 3 * groups]), [rows, groups, 3])
  const words = tf.sum(tf.mul(triples, tf.tensor1d([1 / 8, 2 ** 8 / 8, 2 ** 16 / 8])), 2, true)
  const numbers = tf.floor(tf.mul(fraction(tf.mul(words, powersOf(1 / 8))), 8))
  const byClass = tf.reshape(numbers, [rows, 8 * groups])
  const widths = tf.slice(byClass, [0, 0], [rows, 8])

  const halves = powersOf(1 / 2)
  const edges = column('edges')
  const starts = tf.concat([tf.zeros([rows, 1]), tf.slice(edges, [0, 0], [rows, 7])], 1)
  const spans = tf.sub(edges, starts)
  const parts = tf.gather(halves, tf.cast(widths, 'int32')) // of a span is a step
  const firsts = tf.add(starts, tf.mul(tf.mul(spans, parts), tf.tensor1d([0, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5])))
  const table = tf.reshape(tf.stack([widths, parts, firsts, spans], 2), [8 * rows, 4])
  const bins = tf.cast(tf.slice(byClass, [0, 8], [rows, classes]), 'int32')
  const ofClass = tf.gather(table, tf.add(bins, tf.expandDims(tf.range(0, 8 * rows, 8, 'int32'), 1)))
  const [width, part, first, span] = tf.unstack(ofClass, 2) as [tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor]

  const at = tf.mul(tf.add(tf.cumsum(width, 1, true), 24 + 3 * classes), 1 / 8)
  const byte = tf.minimum(tf.floor(at), length - 1)
  const next = tf.concat([tf.slice(bytes, [0, 1]), tf.zeros([rows, 1])], 1)
  const pairs = tf.add(bytes, tf.mul(next, 256)) as tf.Tensor2D
  const pair = gatherColumns(pairs, tf.cast(byte, 'int32') as tf.Tensor2D)
  const shift = tf.gather(halves, tf.cast(tf.mul(fraction(at), 8), 'int32'))
  return tf.add(first, tf.mul(fraction(tf.mul(tf.floor(tf.mul(pair, shift)), part)), span)) as tf.Tensor2D
}

/**
 * h(T) [B, 1], from which log Σ_tail exp((z - shift)/T) = h/T + log n: a polynomial through the tail's nodes (FORMAT.md, "tail"). T is one
 * for all rows, or of each row, [B, 1]. The weights of all nodes sum to 1, and the others are stored below the first.
 */
function tailGapOf(column: Columns): (temperature: tf.Tensor) => tf.Tensor2D {
  const basis = tf.tensor2d(tailTable.basis.slice(1))
  return (temperature) => {
    const weights = tf.matMul(tailTerms(tf.reshape(temperature, [-1, 1])), basis, false, true)
    return tf.add(column('tail_top'), tf.sum(tf.mul(column('tail'), weights), -1, true))
  }
}

/**
 * cos(m·acos x), m = 0 … n - 1, where x is T [B, 1] on the scale of the tail's nodes: [B, n]. With a gradient of its own, since acos has none at the
 * bounds of T: the m-th has the derivative 2m·(the (m-1)th + the (m-3)th + …), of which the 0th counts half. Beyond the bounds it is 0.
 */
function tailTerms(temperature: tf.Tensor): tf.Tensor2D {
  const { softening, slope, offset, basis } = tailTable
  const orders = Array.from(basis, (_, m) => m)
  const derivatives = orders.map((m) => orders.map((k) => (k < m && (m - k) % 2 === 1 ? (k === 0 ? m : 2 * m) : 0)))
  return ownGradient<tf.Tensor2D>(
    [temperature],
    (T) => {
      const x = tf.add(tf.div(slope, tf.add(tf.mul(T!, softening), 1)), offset)
      const value = tf.cos(tf.mul(tf.range(0, basis.length), tf.acos(tf.clipByValue(x, -1, 1)))) as tf.Tensor2D
      return { value, saved: [T!, value] }
    },
    (dy, [T, value]) => {
      const toX = tf.sum(tf.mul(dy, tf.matMul(value!, tf.tensor2d(derivatives), false, true)), -1, true)
      const known = tf.logicalAnd(tf.greaterEqual(T!, TAIL_RANGE.low), tf.lessEqual(T!, TAIL_RANGE.high))
      const ofX = tf.div(-slope * softening, tf.square(tf.add(tf.mul(T!, softening), 1)))
      return [tf.mul(tf.mul(toX, ofX), tf.cast(known, 'float32'))]
    },
  )
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
    drawn: () => {
      throw new TypeError("a method that calls drawn() says so: needs: { teacher: 'draws' }")
    },
    logTop: (temperature) => tf.max(logSoftmax(logits, temperature), -1) as tf.Tensor1D,
    deviation: () => deviationOf(logits, presentIn(logits)),
    decouple: (studentLogits, labels, temperature) => ({
      teacher: decouple(logits, labels, temperature),
      student: decouple(studentLogits, labels, temperature),
    }),
  }
}
