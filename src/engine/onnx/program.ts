import type * as tf from '@tensorflow/tfjs-core'
import { InferenceSession, Tensor } from 'onnxruntime-node'
import { widenHalves } from '../../onnx/float16.js'
import { encodeModel } from '../../onnx/graph-builder.js'
import { printGraph } from '../../onnx/print-graph.js'
import { type CompileOptions, checkInputs, type InputSpec, type Inputs, type Program, type Step } from '../engine.js'
import type { DType } from './ir.js'
import { type StepGraph, type WrittenModel, writeScan, writeStep } from './model.js'
import { optimize } from './passes/optimize.js'
import { explainRefusal } from './refusal.js'
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
  const { stacked = false } = options
  const specs = widened(options.inputs, runtime)
  const traced = trace(step, { inputs: specs })
  const graph = toStepGraph(traced, { specs, block: runtime.block })
  const { variables } = runtime
  // Scan is the processor's operator: it would take its body there, too. On a device a stack is a call for each step.
  const scanned = stacked && runtime.backend === 'cpu'
  const model = scanned ? writeScan(graph) : writeStep(graph)
  const session = await openSession(model, graph, runtime)
  const tfVariables = new Map(traced.variables.map(({ name, variable }) => [name, variable]))

  async function call(inputs: Inputs, leading: readonly number[]): Promise<Record<string, Float32Array>> {
    const feeds: Record<string, Tensor> = {}
    const fetches: Record<string, Tensor | null> = {}
    for (const [name, inModel] of model.inputs) {
      if (!session.inputNames.includes(inModel)) continue
      const { dtype, shape } = specs[name]!
      const values = dtype === options.inputs[name]!.dtype ? inputs[name]! : widenHalves(inputs[name] as Uint16Array)
      feeds[inModel] = new Tensor(dtype, values as never, [...leading, ...shape])
    }
    const variableOf = (name: string) => tfVariables.get(name) as tf.Variable
    for (const [name, inModel] of model.variables) feeds[inModel] = await variables.current(variableOf(name))
    for (const [name, inModel] of model.next) fetches[inModel] = await variables.spare(variableOf(name))
    for (const inModel of model.outputs.values()) fetches[inModel] = null
    const results = await session.run(feeds, fetches)
    for (const [name, inModel] of model.next) {
      await variables.swap(variableOf(name))
      // The same buffer again: a view that the garbage collector doesn't know of, where it is a device's.
      if (results[inModel] !== fetches[inModel]) results[inModel]!.dispose()
    }
    return Object.fromEntries(
      [...model.outputs].map(([name, inModel]) => [name, results[inModel]!.data as Float32Array]),
    )
  }

  async function run(inputs: Inputs, steps: number): Promise<Record<string, Float32Array>> {
    if (scanned || !stacked) return call(inputs, scanned ? [steps] : [])
    const results: Record<string, Float32Array>[] = []
    for (let i = 0; i < steps; i++) results.push(await call(sliceStep(inputs, i, steps), []))
    return joinSteps(results)
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

async function openSession(model: WrittenModel, { values }: StepGraph, runtime: Runtime): Promise<InferenceSession> {
  const { session, backend: provider } = runtime
  try {
    return await InferenceSession.create(encodeModel(model.proto), session)
  } catch (error) {
    throw provider === 'cpu' ? error : await explainRefusal(error, { provider, values, session })
  }
}

/** The inputs of one step out of a stack of `steps`. */
function sliceStep(inputs: Inputs, step: number, steps: number): Inputs {
  const slice = (values: Float32Array) => {
    const size = values.length / steps
    return values.subarray(step * size, (step + 1) * size)
  }
  return Object.fromEntries(Object.entries(inputs).map(([name, values]) => [name, slice(values as Float32Array)]))
}

function joinSteps(steps: readonly Record<string, Float32Array>[]): Record<string, Float32Array> {
  const join = (name: string) => Float32Array.from(steps.flatMap((step) => [...step[name]!]))
  return Object.fromEntries(Object.keys(steps[0]!).map((name) => [name, join(name)]))
}

/**
 * The inputs as they are fed. float16 is widened in JavaScript where ONNX Runtime does not take it: on Node with a Float16Array, which
 * onnxruntime-node refuses, and on devices, of which not every one has the type.
 */
function widened(specs: Record<string, InputSpec>, { backend }: Runtime): Record<string, InputSpec> {
  if (backend === 'cpu' && !('Float16Array' in globalThis)) return specs
  const widen = (spec: InputSpec): InputSpec => (spec.dtype === 'float16' ? { ...spec, dtype: 'float32' } : spec)
  return Object.fromEntries(Object.entries(specs).map(([name, spec]) => [name, widen(spec)]))
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
