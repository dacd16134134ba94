import type * as tf from '@tensorflow/tfjs-core'
import type { Kernel } from '../kernels/kernel.js'
import type { Parts } from '../storage.js'

export type Result = tf.TensorInfo | tf.TensorInfo[]

/** Tensors under the names that tfjs gives a kernel's inputs. */
export type Inputs = Readonly<Record<string, tf.TensorInfo>>

export type Attributes = Readonly<Record<string, unknown>>

/** A kernel to be run as a session of its own. */
export interface Computation {
  name: string
  kernel: Kernel
  inputs: Inputs
  attributes?: Attributes
}

/** What kernels in JavaScript need of the backend. */
export interface Host {
  /** A list of tensors where the kernel gives one. */
  compute(computation: Computation): Result
  make(values: tf.BackendValues, shape: readonly number[], dtype: tf.DataType): tf.TensorInfo
  /** The same elements under another shape. */
  share(tensor: tf.TensorInfo, shape: readonly number[]): tf.TensorInfo
  makeComplex(parts: Parts): tf.TensorInfo
  partsOf(tensor: tf.TensorInfo): Parts
  readSync(dataId: object): tf.BackendValues
  disposeData(dataId: object): boolean
}

export interface HostCall<Inputs, Attributes> {
  inputs: Inputs
  attributes: Attributes
  backend: Host
}

/**
 * A kernel in JavaScript: of strings or complex numbers, which programs do not have, or one whose output's shape depends
 * on values.
 */
export type HostKernel = (call: HostCall<never, never>) => Result

export type HostKernels = Readonly<Record<string, HostKernel>>

type Present<Inputs> = { [Name in keyof Inputs as string extends Name ? never : Name]: NonNullable<Inputs[Name]> }

/** Types a kernel by tfjs's own declarations of its inputs and attributes. */
export function hostKernel<Inputs, Attributes = object>(
  run: (call: HostCall<Present<Inputs>, Attributes>) => Result,
): HostKernel {
  return run as HostKernel
}
