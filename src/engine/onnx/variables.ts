import * as tf from '@tensorflow/tfjs-core'
import { Tensor } from 'onnxruntime-node'
import { DecantError } from '../../errors.js'
import type { Memory } from './memory.js'

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
  readonly #memory: Memory

  constructor(memory: Memory) {
    this.#memory = memory
  }

  /** The value to feed for `variable`, with what was assigned to it since. */
  async current(variable: tf.Variable): Promise<Tensor> {
    return (await this.#slot(variable)).current
  }

  /** The buffer for the variable's next value. */
  async spare(variable: tf.Variable): Promise<Tensor> {
    return (await this.#slot(variable)).spare
  }

  /** `spare` has been written: it is the value from now on. */
  async swap(variable: tf.Variable): Promise<void> {
    const slot = await this.#slot(variable)
    const { current, spare } = slot
    Object.assign(slot, { current: spare, spare: current, ahead: true })
  }

  /** Assigns what programs wrote to the tfjs variables. */
  async sync(): Promise<void> {
    for (const [variable, slot] of this.#slots) {
      if (variable.isDisposed) this.#drop(variable, slot)
      // One that was assigned from outside since is newer than what the program wrote.
      if (!slot.ahead || variable.isDisposed || variable.dataId !== slot.dataId) continue
      const values = await this.#memory.get(slot.current)
      const tensor = tf.tensor(values, variable.shape, variable.dtype)
      variable.assign(tensor)
      tensor.dispose()
      Object.assign(slot, { dataId: variable.dataId, ahead: false })
    }
  }

  clear(): void {
    for (const [variable, slot] of this.#slots) this.#drop(variable, slot)
  }

  async #slot(variable: tf.Variable): Promise<Slot> {
    if (variable.isDisposed) throw new DecantError(`engine onnx: variable ${variable.name} of the program is disposed`)
    const known = this.#slots.get(variable)
    if (known?.dataId === variable.dataId) return known
    const { dataId } = variable
    const current = await this.#memory.put(toTensor(variable))
    const spare = known?.spare ?? (await this.#memory.put(toTensor(variable)))
    known?.current.dispose()
    const slot = { current, spare, dataId, ahead: false }
    this.#slots.set(variable, slot)
    return slot
  }

  #drop(variable: tf.Variable, { current, spare }: Slot): void {
    // A device's buffers are not the garbage collector's.
    current.dispose()
    spare.dispose()
    this.#slots.delete(variable)
  }
}

function toTensor(variable: tf.Variable): Tensor {
  const { dtype, shape } = variable
  const values = variable.dataSync().slice()
  if (dtype === 'float32') return new Tensor('float32', values as Float32Array, shape)
  if (dtype === 'int32') return new Tensor('int32', values as Int32Array, shape)
  return new Tensor('bool', values as Uint8Array, shape)
}
