import * as tf from '@tensorflow/tfjs-core'
import type { LayersModel, LayerVariable, layers } from '@tensorflow/tfjs-layers'
import { everyLayer } from './inner-layers.js'

/**
 * What the regularizers of a model's weights add to its loss, [] each: those that tfjs's model.fit adds (of a layer that is used twice, twice), and
 * those inside of recurrent cells and wrappers, which it leaves out.
 */
export function penaltiesOf(model: LayersModel): tf.Tensor[] {
  const counted = new Set(countedBy(model))
  const inside = new Set(everyLayer(model).flatMap(({ losses }) => losses))
  return [...model.calculateLosses(), ...[...inside].filter((loss) => !counted.has(loss)).map((loss) => loss())]
}

/** The losses of a model's layers, and of its models' layers: these `calculateLosses` looks at. */
function countedBy(model: { layers: layers.Layer[] }): layers.Layer['losses'] {
  return model.layers.flatMap((layer) => [...layer.losses, ...('layers' in layer ? countedBy(layer as never) : [])])
}

/**
 * Projects the weights that have a constraint, as Keras does after every step. tfjs itself does so only where weights are set or
 * loaded: a student that did not keep to them would be another one once it is loaded.
 */
export function constrain(weights: readonly LayerVariable[]): void {
  for (const weight of weights) {
    const variable = weight.read() as tf.Variable
    if (weight.constraint) tf.tidy(() => variable.assign(weight.constraint.apply(variable)))
  }
}
