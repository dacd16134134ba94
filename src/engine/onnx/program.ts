import type * as tf from '@tensorflow/tfjs-core'
import { InferenceSession, Tensor } from 'onnxruntime-node'
import { DecantError } from '../../errors.js'
import { encodeModel } from '../../onnx/graph-builder.js'
import { printGraph } from '../../onnx/print-graph.js'
import { checkInputs, type InputSpec, type Program, type Step } from '../engine.js'
import type { DType } from './ir.js'
import { type StepGraph, writeScan, writeStep } from './model.js'
import { optimize } from './passes/optimize.js'
import { type Trace, trace } from './trace.js'
import type { Variables } from './variables.js'

export interface CompileOptions {
  inputs: Record<string, InputSpec>
  /** Steps a call. With more than one, inputs and outputs have a leading axis of steps. Default 1. */
  steps?: number
}

export interface Runtime {
  variables: Variables
  session: InferenceSession.SessionOptions
  backend: string
  /** Channels in a block of the blocked layout, where the provider has it. */
  block: number | undefined
  /** Runs of all programs, one after another: they share the variables. */
  inTurn<T>(run: () => Promise<T>): Promise<T>
}

/** Traces a step and loads it into ONNX Runtime. */
export async function compileProgram(step: Step, options: CompileOptions, runtime: Runtime): Promise<Program> {
  const { steps = 1 } = options
  if (!Number.isInteger(steps) || steps < 1) throw new DecantError(`compile: steps is ${steps}, expected 1 or more`)
  const traced = trace(step, { inputs: options.inputs })
  const graph = toStepGraph(traced, { specs: options.inputs, block: runtime.block })
  const model = steps === 1 ? writeStep(graph) : writeScan(graph, steps)
  const session = await InferenceSession.create(encodeModel(model.proto), runtime.session)
  const specs = steps === 1 ? options.inputs : stackSpecs(options.inputs, steps)
  const tfVariables = new Map(traced.variables.map(({ name, variable }) => [name, variable]))
  const { variables } = runtime

  async function run(inputs: Record<string, ArrayBufferView>): Promise<Record<string, Float32Array>> {
    const feeds: Record<string, Tensor> = {}
    const fetches: Record<string, Tensor | null> = {}
    for (const [name, inModel] of model.inputs) {
      if (session.inputNames.includes(inModel)) feeds[inModel] = feed(inputs[name]!, specs[name]!)
    }
    const variableOf = (name: string) => tfVariables.get(name) as tf.Variable
    for (const [name, inModel] of model.variables) feeds[inModel] = variables.current(variableOf(name))
    for (const [name, inModel] of model.next) fetches[inModel] = variables.spare(variableOf(name))
    for (const inModel of model.outputs.values()) fetches[inModel] = null
    const results = await session.run(feeds, fetches)
    for (const name of model.next.keys()) variables.swap(variableOf(name))
    return Object.fromEntries(
      [...model.outputs].map(([name, inModel]) => [name, results[inModel]!.data as Float32Array]),
    )
  }

  return {
    backend: runtime.backend,
    run(inputs) {
      checkInputs(specs, inputs)
      return runtime.inTurn(() => run(inputs))
    },
    dispose: () => runtime.inTurn(() => session.release()),
    print: () => printGraph(model.proto),
  }
}

function feed(values: ArrayBufferView, { dtype, shape }: InputSpec): Tensor {
  return new Tensor(dtype, values as never, shape)
}

function stackSpecs(specs: Record<string, InputSpec>, steps: number): Record<string, InputSpec> {
  return Object.fromEntries(
    Object.entries(specs).map(([name, { shape, dtype }]) => [name, { shape: [steps, ...shape], dtype }]),
  )
}

interface StepOptions {
  specs: Record<string, InputSpec>
  block: number | undefined
}

function toStepGraph({ outputs, variables }: Trace, { specs, block }: StepOptions): StepGraph {
  const traced = {
    ...Object.fromEntries(variables.flatMap(({ name, next }) => (next ? [[`next:${name}`, next]] : []))),
    ...Object.fromEntries(outputs.map(({ name, value }) => [`output:${name}`, value])),
  }
  const values = optimize(traced, { block })
  return {
    inputs: Object.entries(specs).map(([name, { dtype, shape }]) => ({ name, type: { dtype: dtype as DType, shape } })),
    variables: variables.map(({ name, read }) => ({ name, type: read })),
    outputs: outputs.map(({ name, value }) => ({ name, type: value })),
    values,
  }
}
