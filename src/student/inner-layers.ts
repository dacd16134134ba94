import type { LayersModel, layers } from '@tensorflow/tfjs-layers'

type Layer = layers.Layer

/** Where tfjs's layers have others: models theirs, wrappers what they wrap, recurrent layers their cell. */
interface Holder {
  layers?: Layer[]
  layer?: Layer
  forwardLayer?: Layer
  backwardLayer?: Layer
  cell?: Layer
  cells?: Layer[]
}

/** A model's layers, and those inside of them, however deep. */
export function everyLayer(model: Layer | LayersModel): Layer[] {
  const { layers = [], layer, forwardLayer, backwardLayer, cell, cells = [] } = model as Holder
  const inner = [...layers, layer, forwardLayer, backwardLayer, cell, ...cells].filter((layer) => layer !== undefined)
  return inner.flatMap((layer) => [layer, ...everyLayer(layer)])
}
