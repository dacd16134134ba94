import * as tf from '@tensorflow/tfjs-core'
import { RNN } from '@tensorflow/tfjs-layers'

/** What decides which of a recurrent layer's inputs and states are dropped, for all steps of a call. */
export interface Cell {
  dropoutMask?: tf.Tensor | tf.Tensor[] | null
  recurrentDropoutMask?: tf.Tensor | tf.Tensor[] | null
  /** Draws a mask, of a tensor of ones and the share of zeros that it is to have; tfjs's own where there is none. */
  dropoutFunc?: ((ones: tf.Tensor, rate: number) => tf.Tensor) | null
  /** Of stacked cells. */
  cells?: Cell[]
}

/** As far as masks go. */
export interface Recurrent {
  cell: Cell
  call(inputs: tf.Tensor | tf.Tensor[], options: object): tf.Tensor | tf.Tensor[]
}

/** A recurrent layer's cells, those of stacked ones each. */
export const cellsOf = ({ cell }: Recurrent): Cell[] => cell.cells ?? [cell]

/**
 * A cell keeps its masks until its layer's next call, and in `layers.rnn` for ever: of the first batch, and those of training in inference, too.
 * Here they go with the call.
 */
const prototype = RNN.prototype as unknown as Recurrent
const { call } = prototype
prototype.call = function (this: Recurrent, inputs, options) {
  try {
    return call.call(this, inputs, options)
  } finally {
    for (const cell of cellsOf(this)) {
      tf.dispose([cell.dropoutMask ?? [], cell.recurrentDropoutMask ?? []])
      cell.dropoutMask = null
      cell.recurrentDropoutMask = null
    }
  }
}
