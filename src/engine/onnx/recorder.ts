import * as tf from '@tensorflow/tfjs-core'
import { DecantError } from '../../errors.js'
import { type Data, Graph, sizeOf, splatOf, type Value } from './ir.js'
import { kernels } from './kernels/index.js'
import { dtypeOf, type Kernel } from './kernels/kernel.js'
import { userFrame } from './user-frame.js'

export const backendName = 'onnx'

/** A variable that a step reads or assigns. */
export interface RecordedVariable {
  variable: tf.Variable
  /** Its value when the step starts. */
  read: Value
  /** Of a variable that the step itself creates: what it starts from. */
  initial?: Value
  /** The tensor that it holds until it is assigned. */
  dataId: object
}

/** What one step of tfjs code does, as it is being recorded. */
export class Recording {
  readonly graph = new Graph()
  readonly variables = new Map<tf.Variable, RecordedVariable>()
  /** Tensors of other backends that the step uses: constants, to it. */
  readonly constants = new Map<object, Value>()

  /** With `inline`, variables that exist already are constants, too. */
  constructor(
    readonly existing: ReadonlySet<tf.Variable>,
    readonly inline: boolean,
  ) {}
}

/** A tfjs backend whose kernels compute nothing: they append nodes to the graph that is being recorded. */
export class Recorder extends tf.KernelBackend {
  readonly #tensors = new Map<object, { value: Value; references: number }>()
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

  /** The value of a tensor, as a kernel sees it. */
  valueFor(tensor: tf.TensorInfo): Value {
    const recording = this.#active()
    if (tensor instanceof tf.Variable) {
      const recorded = recording.variables.get(tensor) ?? this.#recordVariable(recording, tensor)
      if (recorded?.dataId === tensor.dataId) return recorded.read
    }
    const known = this.#tensors.get(tensor.dataId)
    if (known) return known.value
    const constant = recording.constants.get(tensor.dataId) ?? this.#constant(recording, tensor)
    recording.constants.set(tensor.dataId, constant)
    return constant
  }

  /** A tensor whose value is a node's output. */
  tensorOf(value: Value): tf.TensorInfo {
    const dataId = {}
    this.#tensors.set(dataId, { value, references: 1 })
    return { dataId, shape: [...value.shape], dtype: value.dtype as tf.DataType }
  }

  runKernel(
    name: string,
    kernel: Kernel,
    call: { inputs: tf.NamedTensorInfoMap; attrs?: object },
  ): tf.TensorInfo | tf.TensorInfo[] {
    const { graph } = this.#active()
    const inputs = Object.entries(call.inputs).flatMap(([key, tensor]) =>
      tensor ? [[key, this.valueFor(tensor)]] : [],
    )
    let outputs: Value | readonly Value[]
    try {
      outputs = kernel(Object.fromEntries(inputs) as never, (call.attrs ?? {}) as never, graph)
    } catch (error) {
      if (!(error instanceof TypeError)) throw error
      throw new DecantError(`engine onnx: kernel ${name}: ${error.message}, ${userFrame()}`)
    }
    return Array.isArray(outputs) ? outputs.map((value) => this.tensorOf(value)) : this.tensorOf(outputs as Value)
  }

  override write(values: tf.BackendValues, shape: number[], dtype: tf.DataType): object {
    const data = values as Data
    refuseDrawn()
    const value = this.#active().graph.constant(data.slice() as Data, { dtype: dtypeOf(dtype), shape })
    return this.tensorOf(value).dataId
  }

  override readSync(dataId: object): tf.BackendValues {
    const value = this.#tensors.get(dataId)?.value
    const data = value && valuesOf(value)
    if (!data) {
      throw new DecantError(
        `engine onnx: the step reads a value (dataSync, print, ...) that exists only when the program runs, ${userFrame()}`,
      )
    }
    return data as tf.BackendValues
  }

  override async read(dataId: object): Promise<tf.BackendValues> {
    return this.readSync(dataId)
  }

  override incRef(dataId: object): void {
    const own = this.#tensors.get(dataId)
    if (own) own.references++
    else ownerOf(dataId)?.incRef(dataId)
  }

  override refCount(dataId: object): number {
    return this.#tensors.get(dataId)?.references ?? 0
  }

  override disposeData(dataId: object, force = false): boolean {
    const own = this.#tensors.get(dataId)
    if (own && --own.references > 0 && !force) return false
    return this.#tensors.delete(dataId)
  }

  override numDataIds(): number {
    return this.#tensors.size
  }

  override memory(): { unreliable: boolean } {
    return { unreliable: true }
  }

  override floatPrecision(): 32 {
    return 32
  }

  override epsilon(): number {
    return 1e-7 // tfjs's EPSILON_FLOAT32
  }

  override dispose(): void {
    this.#tensors.clear()
  }

  #active(): Recording {
    if (!this.#recording) throw new DecantError(`engine onnx: its backend records steps, it cannot run ${userFrame()}`)
    return this.#recording
  }

  #recordVariable(recording: Recording, variable: tf.Variable): RecordedVariable | undefined {
    const { dataId } = variable
    const existing = recording.existing.has(variable)
    if (existing && recording.inline) return undefined
    const held = this.#tensors.get(dataId)
    // One that was assigned before it was ever read has no value to start from.
    if (existing && held) return undefined
    const type = { dtype: dtypeOf(variable.dtype), shape: variable.shape }
    const read = recording.graph.input('Variable', variable.name, type)
    const recorded = { variable, read, initial: existing ? undefined : held?.value, dataId }
    recording.variables.set(variable, recorded)
    return recorded
  }

  #constant(recording: Recording, tensor: tf.TensorInfo): Value {
    const data = tf.engine().readSync(tensor.dataId) as Data
    const name = tensor instanceof tf.Variable ? tensor.name : undefined
    return recording.graph.constant(data.slice() as Data, { dtype: dtypeOf(tensor.dtype), shape: tensor.shape }, name)
  }
}

/** tfjs draws random numbers in JavaScript, so that a recorded step would have the same ones at every run. */
function refuseDrawn(): void {
  const { stack = '' } = new Error()
  // A variable's first value may be drawn.
  if (!/\b(random\w*|truncatedNormal)_/.test(stack) || /\b(addWeight|makeVariable)\b/.test(stack)) return
  throw new DecantError(
    `engine onnx: the step draws random numbers that would be the same at every run; draw them from a randomSource, ${userFrame()}`,
  )
}

/** The elements of a value that is the same at every run. */
export function valuesOf(value: Value): Data | undefined {
  const { data } = value.node
  if (data) return data
  const splat = value.node.op === 'Expand' ? splatOf(value.node.inputs[0]!) : undefined
  if (splat === undefined) return undefined
  const arrays = { float32: Float32Array, int32: Int32Array }
  const array = value.dtype === 'float32' || value.dtype === 'int32' ? arrays[value.dtype] : Uint8Array
  return new array(sizeOf(value.shape)).fill(splat)
}

export function ownerOf(dataId: object): tf.KernelBackend | undefined {
  return tf.engine().state.tensorInfo.get(dataId)?.backend
}

/** The recorder of this process: tfjs keeps one backend of a name. */
export function openRecorder(): Recorder {
  if (!tf.findBackendFactory(backendName)) {
    // Priority 0: never chosen by tfjs itself.
    tf.registerBackend(backendName, () => new Recorder(), 0)
    for (const [kernelName, kernel] of Object.entries(kernels)) {
      tf.registerKernel({
        kernelName,
        backendName,
        kernelFunc: ({ inputs, attrs, backend }) =>
          (backend as Recorder).runKernel(kernelName, kernel, { inputs, attrs }),
      })
    }
  }
  return tf.findBackend(backendName) as Recorder
}
