import { shared } from '@tensorflow/tfjs-backend-cpu'
import * as tf from '@tensorflow/tfjs-core'
import { sizeOf } from '../ir.js'
import { type HostKernels, hostKernel } from './kernel.js'

/** Compares strings as JavaScript does; shapes broadcast. */
function compare(impl: typeof shared.equalImpl) {
  return hostKernel<tf.EqualInputs>(({ inputs: { a, b }, backend }) => {
    const [left, right] = [a, b].map(({ dataId }) => decode(backend.readSync(dataId)))
    const [values, shape] = impl(a.shape, b.shape, left as never, right as never, 'string')
    return backend.make(values, shape, 'bool')
  })
}

function decode(values: tf.BackendValues): string[] {
  return Array.from(values as Uint8Array[], (bytes) => tf.util.decodeString(bytes))
}

export const strings: HostKernels = {
  Equal: compare(shared.equalImpl),
  NotEqual: compare(shared.notEqualImpl),
  Greater: compare(shared.greaterImpl),
  GreaterEqual: compare(shared.greaterEqualImpl),
  Less: compare(shared.lessImpl),
  LessEqual: compare(shared.lessEqualImpl),
  Fill: hostKernel<object, tf.FillAttrs>(({ attributes: { shape, value }, backend }) => {
    const bytes = tf.util.encodeString(String(value))
    return backend.make(
      Array.from({ length: sizeOf(shape) }, () => bytes),
      shape,
      'string',
    )
  }),
  StaticRegexReplace: hostKernel<tf.StaticRegexReplaceInputs, tf.StaticRegexReplaceAttrs>(
    ({ inputs: { x }, attributes: { pattern, rewrite, replaceGlobal }, backend }) => {
      const expression = new RegExp(pattern, replaceGlobal ? 'g' : '')
      const replaced = decode(backend.readSync(x.dataId)).map((text) => text.replace(expression, rewrite))
      return backend.make(
        replaced.map((text) => tf.util.encodeString(text)),
        x.shape,
        'string',
      )
    },
  ),
  StringNGrams: hostKernel<tf.StringNGramsInputs, tf.StringNGramsAttrs>(({ inputs, attributes: a, backend }) => {
    const [grams, splits] = shared.stringNGramsImpl(
      backend.readSync(inputs.data.dataId) as Uint8Array[],
      backend.readSync(inputs.dataSplits.dataId) as Int32Array,
      a.separator,
      a.nGramWidths,
      a.leftPad,
      a.rightPad,
      a.padWidth,
      a.preserveShortSequences,
    )
    return [backend.make(grams, [grams.length], 'string'), backend.make(splits, inputs.dataSplits.shape, 'int32')]
  }),
  StringSplit: hostKernel<tf.StringSplitInputs, tf.StringSplitAttrs>(
    ({ inputs: { input, delimiter }, attributes: { skipEmpty }, backend }) => {
      const [separator] = backend.readSync(delimiter.dataId) as Uint8Array[]
      const texts = backend.readSync(input.dataId) as Uint8Array[]
      const [indices, values, shape] = shared.stringSplitImpl(texts, separator!, skipEmpty)
      return [
        backend.make(indices, [values.length, 2], 'int32'),
        backend.make(values, [values.length], 'string'),
        backend.make(Int32Array.from(shape), [2], 'int32'),
      ]
    },
  ),
  StringToHashBucketFast: hostKernel<tf.StringToHashBucketFastInputs, tf.StringToHashBucketFastAttrs>(
    ({ inputs: { input }, attributes: { numBuckets }, backend }) => {
      const texts = backend.readSync(input.dataId) as Uint8Array[]
      return backend.make(shared.stringToHashBucketFastImpl(texts, numBuckets), input.shape, 'int32')
    },
  ),
}
