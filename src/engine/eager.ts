import * as tf from '@tensorflow/tfjs-core'
import '@tensorflow/tfjs-backend-cpu'
import '@tensorflow/tfjs-backend-wasm'
import { widenHalves } from '../onnx/float16.js'
import {
  type CompileOptions,
  checkInputs,
  type Engine,
  type InputSpec,
  type Inputs,
  type Program,
  type Step,
  zeroInputs,
} from './engine.js'
import './tfjs/index.js'

/**
 * tfjs's own backends, one kernel at a time: the reference that the other engines are compared with. Each program is
 * tried on wasm first; where wasm lacks a kernel of the step, the program runs on tfjs's plain JavaScript backend.
 */
export async function openEager(): Promise<Engine> {
  await useBackend('wasm')
  return {
    name: 'eager',
    backend: 'wasm',
    async compile(step, options) {
      const missing = await missingKernel(step, options.inputs, 'wasm')
      if (!missing) return eagerProgram(step, { ...options, backend: 'wasm' })
      return eagerProgram(step, { ...options, backend: 'cpu', reason: `tfjs's wasm backend has no ${missing} kernel` })
    },
    async sync() {},
    async dispose() {},
  }
}

/** Runs every step at once on a registered tfjs backend. */
export function eagerProgram(step: Step, options: CompileOptions & { backend: string; reason?: string }): Program {
  const { inputs: specs, backend, reason } = options
  const runOnce = (inputs: Inputs): Record<string, Float32Array> => {
    const outputs = tf.tidy(() => step(feed(specs, inputs)))
    return Object.fromEntries(
      Object.entries(outputs).map(([name, tensor]) => {
        const values = new Float32Array(tensor.dataSync())
        tensor.dispose()
        return [name, values]
      }),
    )
  }
  return {
    backend,
    reason,
    async run(inputs) {
      const steps = checkInputs(options, inputs)
      await useBackend(backend)
      const results = Array.from({ length: steps }, (_, i) => runOnce(partOf(inputs, i, steps)))
      return Object.fromEntries(
        Object.keys(results[0]!).map((name) => [name, concatenate(results.map((result) => result[name]!))]),
      )
    },
    async dispose() {},
  }
}

/** The inputs of the i-th of `steps` steps. */
function partOf(inputs: Inputs, i: number, steps: number): Inputs {
  const part = (values: tf.TypedArray) => {
    const size = values.length / steps
    return values.subarray(i * size, (i + 1) * size)
  }
  return Object.fromEntries(Object.entries(inputs).map(([name, values]) => [name, part(values as tf.TypedArray)]))
}

function concatenate(parts: Float32Array[]): Float32Array {
  if (parts.length === 1) return parts[0]!
  const whole = new Float32Array(parts.reduce((length, part) => length + part.length, 0))
  let at = 0
  for (const part of parts) {
    whole.set(part, at)
    at += part.length
  }
  return whole
}

/**
 * The wasm module's loader listens to the process's uncaught errors, only to throw them again from a line of 100 KB that Node then
 * prints. What it added is taken back.
 */
async function withoutListeners(work: () => Promise<unknown>): Promise<void> {
  const events = ['uncaughtException', 'unhandledRejection'] as const
  const before = events.map((event) => new Set<unknown>(process.listeners(event as 'uncaughtException')))
  await work()
  events.forEach((event, i) => {
    for (const listener of process.listeners(event as 'uncaughtException')) {
      if (!before[i]!.has(listener)) process.off(event, listener)
    }
  })
}

/** The backend is tfjs's global: another engine may have taken it while this one awaited something. */
export async function useBackend(backend: string): Promise<void> {
  tf.enableProdMode() // no advertisement on stderr, no scan of every uploaded value for NaN
  while (tf.getBackend() !== backend) await withoutListeners(() => tf.setBackend(backend))
}

function feed(specs: Record<string, InputSpec>, inputs: Inputs): Record<string, tf.Tensor> {
  const toTensor = (values: ArrayBufferView, { shape, dtype }: InputSpec) => {
    switch (dtype) {
      case 'float16':
        return tf.tensor(widenHalves(values as Uint16Array), shape, 'float32')
      case 'uint16':
        return tf.tensor(Int32Array.from(values as Uint16Array), shape, 'int32')
      case 'uint8':
        return tf.tensor(values as Uint8Array, shape, 'int32')
      default:
        return tf.tensor(values as tf.TypedArray, shape, dtype)
    }
  }
  return Object.fromEntries(Object.entries(specs).map(([name, spec]) => [name, toTensor(inputs[name]!, spec)]))
}

/** Tries the step once on zeros and puts the variables back: the first kernel that the backend lacks, if any. */
async function missingKernel(
  step: Step,
  specs: Record<string, InputSpec>,
  backend: string,
): Promise<string | undefined> {
  await useBackend(backend)
  const { prototype } = tf.Variable
  const { assign } = prototype
  prototype.assign = () => {} // of no variable, those that the step creates included
  try {
    tf.dispose(tf.tidy(() => step(feed(specs, zeroInputs(specs)))))
    return undefined
  } catch (error) {
    const kernel = /Kernel '(\w+)' not registered/.exec((error as Error).message)?.[1]
    if (!kernel) throw error
    return kernel
  } finally {
    prototype.assign = assign
  }
}
