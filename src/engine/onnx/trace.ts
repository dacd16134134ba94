import * as tf from '@tensorflow/tfjs-core'
import { DecantError } from '../../errors.js'
import type { Dtype, InputSpec, Step } from '../engine.js'
import { placeOf } from '../user-frame.js'
import { type OnnxBackend, openBackend } from './backend.js'
import type { DType, Type, Value } from './ir.js'
import { cast } from './kernels/kernel.js'
import { Recording } from './recording.js'
import { ownerOf } from './storage.js'
import { valuesOf } from './values-of.js'

/** A variable that a step reads or assigns: what it is at the start, and after the step where the step assigns it. */
export interface TracedVariable {
  variable: tf.Variable
  name: string
  read: Value
  next: Value | undefined
}

/** A step as a graph. */
export interface Trace {
  inputs: { name: string; value: Value }[]
  outputs: { name: string; value: Value }[]
  variables: TracedVariable[]
}

export interface TraceOptions {
  inputs: Record<string, InputSpec>
  /** Take the variables' values of now as constants: a program without state. */
  inline?: boolean
}

/**
 * Records a step. Every variable that it reads or assigns keeps its value and its tfjs backend; one that it creates (a
 * tf.train optimizer's slots) gets the value that it was created with.
 */
export function trace(step: Step, options: TraceOptions): Trace {
  const recorder = openBackend()
  const before = Object.values(tf.engine().registeredVariables)
  const recording = new Recording(new Set(before), options.inline ?? false)
  const holds = before.map(hold)
  let result: Trace
  try {
    result = recorder.recordStep(recording, () => tidy(() => recordStep(step, { options, recorder, recording, holds })))
  } catch (error) {
    for (const variable of created(recording)) variable.dispose()
    throw explain(error)
  } finally {
    for (const { variable, tensor } of holds) {
      if (variable.dataId !== tensor.dataId) variable.assign(tensor)
      tensor.dispose()
    }
  }
  for (const variable of created(recording)) initialize(variable, recording)
  return result
}

/** tf.tidy for a function that returns no tensors. */
function tidy<T>(body: () => T): T {
  let result: T | undefined
  tf.tidy(() => {
    result = body()
  })
  return result as T
}

interface Hold {
  variable: tf.Variable
  tensor: tf.Tensor
}

/** Keeps a variable's present tensor alive, whatever is assigned to it. */
function hold(variable: tf.Variable): Hold {
  const { dataId, shape, dtype } = variable
  const backend = ownerOf(dataId)
  backend?.incRef(dataId)
  return { variable, tensor: tf.keep(tf.engine().makeTensorFromTensorInfo({ dataId, shape, dtype }, backend)) }
}

/** What an input is in the step. */
const arrival: Record<Dtype, DType> = {
  float32: 'float32',
  float16: 'float32',
  int32: 'int32',
  uint16: 'int32',
  uint8: 'int32',
}

interface StepContext {
  options: TraceOptions
  recorder: OnnxBackend
  recording: Recording
  holds: readonly Hold[]
}

function recordStep(step: Step, { options, recorder, recording, holds }: StepContext): Trace {
  const { graph } = recording
  const toTensor = (value: Value) => tf.engine().makeTensorFromTensorInfo(recorder.tensorOf(value))
  const inputs = Object.entries(options.inputs).map(([name, { shape, dtype }]) => {
    const value = graph.input('Input', name, { dtype, shape })
    return { name, value, tensor: toTensor(cast(graph, value, arrival[dtype])) }
  })
  const results = step(Object.fromEntries(inputs.map(({ name, tensor }) => [name, tensor])))
  const outputs = Object.entries(results).map(([name, tensor]) => ({
    name,
    value: cast(graph, recorder.valueFor(tensor), 'float32'),
  }))

  const variables = new Map<tf.Variable, TracedVariable>()
  for (const { variable, read, dataId } of recording.variables.values()) {
    const next = variable.dataId === dataId ? undefined : recorder.valueFor(variable)
    variables.set(variable, { variable, name: variable.name, read, next })
  }
  // Variables that the step assigns without ever reading them.
  for (const { variable, tensor } of holds) {
    if (variables.has(variable) || variable.dataId === tensor.dataId) continue
    const type: Type = { dtype: variable.dtype as DType, shape: variable.shape }
    const read = graph.input('Variable', variable.name, type)
    variables.set(variable, { variable, name: variable.name, read, next: recorder.valueFor(variable) })
  }
  return { inputs, outputs, variables: [...variables.values()] }
}

function created(recording: Recording): tf.Variable[] {
  return Object.values(tf.engine().registeredVariables).filter((variable) => !recording.existing.has(variable))
}

/** Gives a variable that the step created its first value, which has to be known without running the step. */
function initialize(variable: tf.Variable, recording: Recording): void {
  const initial = recording.variables.get(variable)?.initial
  const values = initial && valuesOf(initial)
  if (!values) {
    variable.dispose()
    throw new DecantError(
      `engine onnx: variable ${variable.name}: the step creates it with a value that depends on the step; create it before`,
    )
  }
  const first = tf.tensor(values as tf.TypedArray, variable.shape, variable.dtype)
  variable.assign(first)
  first.dispose()
}

/** tfjs's own error for a kernel that a backend lacks, with the place that asked for it. */
function explain(error: unknown): unknown {
  const kernel = error instanceof Error && /Kernel '(\w+)' not registered/.exec(error.message)?.[1]
  return kernel ? new DecantError(`engine onnx: no kernel ${kernel}, ${placeOf((error as Error).stack)}`) : error
}
