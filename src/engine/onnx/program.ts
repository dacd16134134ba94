import type * as tf from '@tensorflow/tfjs-core'
import { InferenceSession, Tensor } from 'onnxruntime-node'
import { encodeModel } from '../../onnx/graph-builder.js'
import { printGraph } from '../../onnx/print-graph.js'
import { type CompileOptions, checkInputs, type InputSpec, type Inputs, type Program, type Step } from '../engine.js'
import type { DType } from './ir.js'
import { type StepGraph, writeScan, writeStep } from './model.js'
import { optimize } from './passes/optimize.js'
import { type Trace, trace } from './trace.js'
import type { Variables } from './variables.js'

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
  const { inputs: specs, stacked = false } = options
  const traced = trace(step, { inputs: specs })
  const graph = toStepGraph(traced, { specs, block: runtime.block })
  const model = stacked ? writeScan(graph) : writeStep(graph)
  const session = await InferenceSession.create(encodeModel(model.proto), runtime.session)
  const tfVariables = new Map(traced.variables.map(({ name, variable }) => [name, variable]))
  const { variables } = runtime

  async function run(inputs: Inputs, steps: number): Promise<Record<string, Float32Array>> {
    const feeds: Record<string, Tensor> = {}
    const fetches: Record<string, Tensor | null> = {}
    for (const [name, inModel] of model.inputs) {
      if (!session.inputNames.includes(inModel)) continue
      feeds[inModel] = feed(inputs[name]!, specs[name]!, stacked ? [steps] : [])
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
      const steps = checkInputs(options, inputs)
      return runtime.inTurn(() => run(inputs, steps))
    },
    dispose: () => runtime.inTurn(() => session.release()),
    print: () => printGraph(model.proto),
  }
}

function feed(values: ArrayBufferView, { dtype, shape }: InputSpec, leading: readonly number[]): Tensor {
  return new Tensor(dtype, values as never, [...leading, ...shape])
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
