import * as tf from '@tensorflow/tfjs-core'
import { DecantError } from '../../errors.js'
import '../tfjs/index.js'
import { placeOf } from '../user-frame.js'
import { hostKernels } from './host/index.js'
import type { Attributes, Computation, Inputs, Result } from './host/kernel.js'
import { moveElements, movers } from './host/move.js'
import type { Data, Value } from './ir.js'
import { kernels } from './kernels/index.js'
import { dtypeOf, toData } from './kernels/kernel.js'
import { Plans, runPlan } from './plan.js'
import { type RecordedVariable, type Recording, refuseDrawn } from './recording.js'
import { Storage } from './storage.js'
import { valuesOf } from './values-of.js'

export const backendName = 'onnx'

/**
 * A tfjs backend with one definition of each kernel, as nodes of a graph, and two uses of it. At most times a kernel
 * computes at once, as a small graph of its own. While a step is being recorded kernels compute nothing: they append
 * their nodes to the step's graph.
 */
export class OnnxBackend extends Storage {
  readonly #plans = new Plans()
  #recording: Recording | undefined

  /** Records what `step` does. tfjs is set back to the backend that it had, whatever happens. */
  recordStep<T>(recording: Recording, step: () => T): T {
    const previous = tf.getBackend()
    const { stackTraceLimit } = Error
    Error.stackTraceLimit = 100 // tfjs nests deep: ten frames, as usual, would hold no user code
    this.#recording = recording
    void tf.setBackend(backendName) // both backends exist already, so this takes effect at once
    try {
      return step()
    } finally {
      Error.stackTraceLimit = stackTraceLimit
      this.#recording = undefined
      void tf.setBackend(previous)
    }
  }

  /** The value of a tensor, as a kernel sees it while a step is recorded. */
  valueFor(tensor: tf.TensorInfo): Value {
    const recording = this.#recording!
    if (tensor instanceof tf.Variable) {
      const recorded = recording.variables.get(tensor) ?? this.#recordVariable(recording, tensor)
      if (recorded?.dataId === tensor.dataId) return recorded.read
    }
    const value = this.held(tensor.dataId)?.value
    if (value) return value
    const constant = recording.constants.get(tensor.dataId) ?? makeConstant(recording, tensor)
    recording.constants.set(tensor.dataId, constant)
    return constant
  }

  /** A tensor whose value is a node's output. */
  tensorOf(value: Value): tf.TensorInfo {
    const dtype = value.dtype as tf.DataType
    return { dataId: this.keep({ value, dtype }), shape: [...value.shape], dtype }
  }

  runKernel(name: string, inputs: Inputs, attributes: Attributes): Result {
    try {
      return this.#recording ? this.#record(name, inputs, attributes) : this.#run(name, inputs, attributes)
    } catch (error) {
      if (!(error instanceof TypeError)) throw error
      throw new DecantError(`engine onnx: kernel ${name}: ${error.message}, ${placeOf()}`, { cause: error })
    }
  }

  /** Runs one kernel as a session of its own. */
  compute({ name, kernel, inputs, attributes = {} }: Computation): Result {
    const types = Object.fromEntries(
      Object.entries(inputs).map(([key, { dtype, shape }]) => [key, { dtype: dtypeOf(dtype), shape }]),
    )
    const plan = this.#plans.find({ name, kernel, types, attributes })
    const results = runPlan(plan, (input) => {
      const type = types[input]!
      return { data: toData(this.readSync(inputs[input]!.dataId), type.dtype), type }
    })
    const tensors = plan.outputs.map(({ type: { dtype, shape }, source }, i) =>
      'input' in source
        ? this.share(inputs[source.input]!, shape)
        : this.make(results[i] as tf.BackendValues, shape, dtype as tf.DataType),
    )
    return plan.list ? tensors : tensors[0]!
  }

  override write(values: tf.BackendValues, shape: number[], dtype: tf.DataType): object {
    if (!this.#recording) return super.write(values, shape, dtype)
    refuseDrawn()
    const type = { dtype: dtypeOf(dtype), shape }
    const value = this.#recording.graph.constant(toData(values, type.dtype).slice() as Data, type)
    return this.tensorOf(value).dataId
  }

  override readSync(dataId: object): tf.BackendValues {
    const { value } = this.fetch(dataId)
    if (!value) return super.readSync(dataId)
    const data = valuesOf(value)
    if (!data) {
      throw new DecantError(
        `engine onnx: the step reads a value (dataSync, print, ...) that exists only when the program runs, ${placeOf()}`,
      )
    }
    return data as tf.BackendValues
  }

  override dispose(): void {
    super.dispose()
    this.#plans.clear()
  }

  #run(name: string, inputs: Inputs, attributes: Attributes): Result {
    const dtypes = [attributes.dtype, ...Object.values(inputs).map(({ dtype }) => dtype)]
    const plain = !dtypes.includes('string') && !dtypes.includes('complex64')
    const host = plain && name in kernels ? undefined : hostKernels[name]
    if (host) return host({ inputs: inputs as never, attributes: attributes as never, backend: this })
    const computation = { name, kernel: kernels[name]!, inputs, attributes }
    if (plain) return this.compute(computation)
    if (!movers.has(name)) throw new TypeError('it takes no strings and no complex numbers')
    return moveElements(computation, this)
  }

  #record(name: string, inputs: Inputs, attributes: Attributes): Result {
    const kernel = kernels[name]
    if (!kernel) throw new DecantError(`engine onnx: no kernel ${name}, ${placeOf()}`)
    const values = Object.entries(inputs).map(([key, tensor]) => [key, this.valueFor(tensor)])
    const outputs = kernel(Object.fromEntries(values) as never, attributes as never, this.#recording!.graph)
    return Array.isArray(outputs) ? outputs.map((value) => this.tensorOf(value)) : this.tensorOf(outputs as Value)
  }

  #recordVariable(recording: Recording, variable: tf.Variable): RecordedVariable | undefined {
    const { dataId } = variable
    const existing = recording.existing.has(variable)
    if (existing && recording.inline) return undefined
    const value = this.held(dataId)?.value
    // One that was assigned before it was ever read has no value to start from.
    if (existing && value) return undefined
    const type = { dtype: dtypeOf(variable.dtype), shape: variable.shape }
    const read = recording.graph.input('Variable', variable.name, type)
    const recorded = { variable, read, initial: existing ? undefined : value, dataId }
    recording.variables.set(variable, recorded)
    return recorded
  }
}

function makeConstant(recording: Recording, tensor: tf.TensorInfo): Value {
  const dtype = dtypeOf(tensor.dtype)
  const data = toData(tf.engine().readSync(tensor.dataId), dtype)
  const name = tensor instanceof tf.Variable ? tensor.name : undefined
  return recording.graph.constant(data.slice() as Data, { dtype, shape: tensor.shape }, name)
}

/** The backend of this process: tfjs keeps one of a name. */
export function openBackend(): OnnxBackend {
  if (!tf.findBackendFactory(backendName)) {
    // Priority 0: never chosen by tfjs itself.
    tf.registerBackend(backendName, () => new OnnxBackend(), 0)
    for (const kernelName of new Set([...Object.keys(kernels), ...Object.keys(hostKernels)])) {
      tf.registerKernel({
        kernelName,
        backendName,
        kernelFunc: ({ inputs, attrs, backend }) =>
          (backend as OnnxBackend).runKernel(kernelName, definedOnly(inputs), (attrs ?? {}) as Attributes),
      })
    }
  }
  return tf.findBackend(backendName) as OnnxBackend
}

/** Without the optional inputs that a call leaves out. */
function definedOnly(inputs: tf.NamedTensorInfoMap): Inputs {
  return Object.fromEntries(Object.entries(inputs).filter(([, tensor]) => tensor)) as Inputs
}
