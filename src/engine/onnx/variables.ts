import * as tf from '@tensorflow/tfjs-core'
import { Tensor } from 'onnxruntime-node'
import { DecantError } from '../../errors.js'

/** A variable's value where programs read and write it: each run reads `current`, writes `spare`, and swaps them. */
interface Slot {
  current: Tensor
  spare: Tensor
  /** The tfjs tensor that `current` was last equal to: another one means that the variable was assigned from outside. */
  dataId: object
  /** `current` is newer than the variable. */
  ahead: boolean
}

/** The state of an engine's programs, shared between them. */
export class Variables {
  readonly #slots = new Map<tf.Variable, Slot>()

  /** The value to feed for `variable`, with what was assigned to it since. */
  current(variable: tf.Variable): Tensor {
    return this.#slot(variable).current
  }

  /** The buffer for the variable's next value. */
  spare(variable: tf.Variable): Tensor {
    return this.#slot(variable).spare
  }

  /** `spare` has been written: it is the value from now on. */
  swap(variable: tf.Variable): void {
    const slot = this.#slot(variable)
    const { current, spare } = slot
    Object.assign(slot, { current: spare, spare: current, ahead: true })
  }

  /** Assigns what programs wrote to the tfjs variables. */
  sync(): void {
    for (const [variable, slot] of this.#slots) {
      if (variable.isDisposed) this.#slots.delete(variable)
      // One that was assigned from outside since is newer than what the program wrote.
      if (!slot.ahead || variable.isDisposed || variable.dataId !== slot.dataId) continue
      const values = slot.current.data.slice() as tf.TypedArray
      const tensor = tf.tensor(values, variable.shape, variable.dtype)
      variable.assign(tensor)
      tensor.dispose()
      Object.assign(slot, { dataId: variable.dataId, ahead: false })
    }
  }

  clear(): void {
    this.#slots.clear()
  }

  #slot(variable: tf.Variable): Slot {
    if (variable.isDisposed) throw new DecantError(`engine onnx: variable ${variable.name} of the program is disposed`)
    const known = this.#slots.get(variable)
    if (known?.dataId === variable.dataId) return known
    const slot = known ?? makeSlot(variable)
    ;(slot.current.data as Float32Array).set(variable.dataSync())
    Object.assign(slot, { dataId: variable.dataId, ahead: false })
    this.#slots.set(variable, slot)
    return slot
  }
}

function makeSlot({ dtype, shape, size, dataId }: tf.Variable): Slot {
  const make = () => {
    if (dtype === 'float32') return new Tensor('float32', new Float32Array(size), shape)
    if (dtype === 'int32') return new Tensor('int32', new Int32Array(size), shape)
    return new Tensor('bool', new Uint8Array(size), shape)
  }
  return { current: make(), spare: make(), dataId, ahead: false }
}
