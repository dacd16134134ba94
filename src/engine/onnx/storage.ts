import * as tf from '@tensorflow/tfjs-core'
import type { Value } from './ir.js'

/** What the backend has for a tensor: its elements, or the parts of complex numbers, or a value of the recorded graph. */
export interface Held {
  dtype: tf.DataType
  references: number
  values?: tf.BackendValues
  parts?: Parts
  value?: Value
}

/** Real and imaginary parts: float32 tensors of the complex tensor's shape. */
export interface Parts {
  real: tf.TensorInfo
  imag: tf.TensorInfo
}

/** The backend that has a tensor's elements. */
export function ownerOf(dataId: object): tf.KernelBackend | undefined {
  return tf.engine().state.tensorInfo.get(dataId)?.backend
}

/** The part of a tfjs backend that keeps tensors, with tfjs's counting of references to them. */
export class Storage extends tf.KernelBackend {
  readonly #held = new Map<object, Held>()

  protected keep(held: Omit<Held, 'references'>): object {
    const dataId = {}
    this.#held.set(dataId, { ...held, references: 1 })
    return dataId
  }

  protected held(dataId: object): Held | undefined {
    return this.#held.get(dataId)
  }

  /** What is held for a tensor; one of another backend moves here first, as tfjs has it. */
  protected fetch(dataId: object): Held {
    if (!this.#held.has(dataId)) tf.engine().moveData(this, dataId)
    return this.#held.get(dataId)!
  }

  /** A tensor of the elements `values`. */
  make(values: tf.BackendValues, shape: readonly number[], dtype: tf.DataType): tf.TensorInfo {
    return { dataId: this.keep({ values, dtype }), shape: [...shape], dtype }
  }

  /** The same elements under another shape. */
  share({ dataId, dtype }: tf.TensorInfo, shape: readonly number[]): tf.TensorInfo {
    this.fetch(dataId).references++
    return { dataId, shape: [...shape], dtype }
  }

  makeComplex({ real, imag }: Parts): tf.TensorInfo {
    return { dataId: this.keep({ dtype: 'complex64', parts: { real, imag } }), shape: real.shape, dtype: 'complex64' }
  }

  /** The parts of a complex tensor; they stay its own. Their shape is the one that the tensor was made with. */
  partsOf({ dataId, shape }: tf.TensorInfo): Parts {
    const { real, imag } = this.fetch(dataId).parts!
    return { real: { ...real, shape }, imag: { ...imag, shape } }
  }

  override write(values: tf.BackendValues, _: number[], dtype: tf.DataType): object {
    return this.keep({ values, dtype })
  }

  override move(
    dataId: object,
    values: tf.BackendValues,
    shape: number[],
    dtype: tf.DataType,
    references: number,
  ): void {
    if (dtype !== 'complex64') {
      this.#held.set(dataId, { values, dtype, references })
      return
    }
    const { real, imag } = tf.backend_util.splitRealAndImagArrays(values as Float32Array)
    const parts = { real: this.make(real, shape, 'float32'), imag: this.make(imag, shape, 'float32') }
    this.#held.set(dataId, { dtype, parts, references })
  }

  override readSync(dataId: object): tf.BackendValues {
    const { values, parts, dtype } = this.fetch(dataId)
    if (!parts) return tf.util.convertBackendValuesAndArrayBuffer(values!, dtype)
    const [real, imag] = [parts.real, parts.imag].map((part) => this.readSync(part.dataId) as Float32Array)
    return tf.backend_util.mergeRealAndImagArrays(real!, imag!)
  }

  override async read(dataId: object): Promise<tf.BackendValues> {
    return this.readSync(dataId)
  }

  override incRef(dataId: object): void {
    const held = this.#held.get(dataId)
    if (held) held.references++
    else ownerOf(dataId)?.incRef(dataId) // while a step is recorded, variables stay where they are
  }

  override refCount(dataId: object): number {
    return this.#held.get(dataId)?.references ?? 0
  }

  override disposeData(dataId: object, force = false): boolean {
    const held = this.#held.get(dataId)
    if (!held) return true
    if (--held.references > 0 && !force) return false
    this.#held.delete(dataId)
    for (const part of held.parts ? [held.parts.real, held.parts.imag] : []) this.disposeData(part.dataId, true)
    return true
  }

  override numDataIds(): number {
    return this.#held.size
  }

  override memory(): { unreliable: boolean; reasons: string[] } {
    return { unreliable: true, reasons: ['Elements are freed by garbage collection.'] }
  }

  override async time(run: () => void): Promise<tf.BackendTimingInfo> {
    const start = tf.util.now()
    run()
    return { kernelMs: tf.util.now() - start } as tf.BackendTimingInfo
  }

  override floatPrecision(): 32 {
    return 32
  }

  override epsilon(): number {
    return 1e-7 // tfjs's EPSILON_FLOAT32
  }

  override dispose(): void {
    this.#held.clear()
  }
}
