import * as tf from '@tensorflow/tfjs-core'
import type { LayersModel, LayerVariable } from '@tensorflow/tfjs-layers'
import { DecantError } from '../errors.js'
import { random } from '../random.js'
import { everyLayer } from './inner-layers.js'

/** @throws DecantError where a layer asks for what a step of shuffled rows does not do, or what would make model.json another student */
export function checkLayers(student: string, model: LayersModel): void {
  for (const layer of everyLayer(model)) {
    if (!(layer as { stateful?: boolean }).stateful) continue
    throw new DecantError(
      `student ${student}: layer ${layer.name}: stateful, and the rows of a batch do not follow on those of the one before: leave it out`,
    )
  }
  for (const weight of model.weights) {
    if (!weight.constraint || isProjection(weight)) continue
    const name = weight.constraint.getClassName()
    throw new DecantError(
      `student ${student}: weight ${weight.originalName}: its constraint ${name} moves what it has moved before, and tfjs applies it once more when it loads model.json: expected a projection (of minMaxNorm rate 1)`,
    )
  }
}

/** Whether a second application changes nothing more, tried on weights that lie far out and far in. */
function isProjection({ constraint, shape }: LayerVariable): boolean {
  const { normal } = random('constraint')
  return [0.1, 1, 10].every((scale) =>
    tf.tidy(() => {
      const sizes = shape as number[]
      const values = Float32Array.from({ length: tf.util.sizeFromShape(sizes) }, () => scale * normal())
      const once = constraint.apply(tf.tensor(values, sizes))
      const moved = tf.max(tf.abs(tf.sub(constraint.apply(once), once))).dataSync()[0]!
      return moved <= 1e-4 * tf.max(tf.abs(once)).dataSync()[0]!
    }),
  )
}
