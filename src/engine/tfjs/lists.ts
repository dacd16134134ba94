import * as tf from '@tensorflow/tfjs-core'
import { DecantError } from '../../errors.js'
import { placeOf } from '../user-frame.js'

/** Of a list that holds a tensor, as in `tf.add(x, [y])`, tfjs makes a tensor without elements, which then reads as NaN: it is refused where it is made. */
const engine = tf.engine()
const { makeTensor } = engine
engine.makeTensor = (values, shape, dtype, backend) => {
  const [expected, found] = [tf.util.sizeFromShape(shape), (values as ArrayLike<unknown> | null)?.length]
  if (found === undefined || found === expected) return makeTensor.call(engine, values, shape, dtype, backend)
  throw new DecantError(`a tensor in a list, where one by itself or numbers are expected, ${placeOf()}`)
}
