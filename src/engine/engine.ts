import '../telemetry.js'
import type * as tf from '@tensorflow/tfjs-core'
import { DecantError } from '../errors.js'

export type EngineName = 'eager' | 'tensorflow' | 'onnx'
export type Dtype = 'float32' | 'float16' | 'int32' | 'uint16' | 'uint8'

/**
 * One input of a step: a fixed shape, and what its bytes are. Data go to a step as they lie: uint8 and uint16 arrive in it as int32,
 * float16 (its bits, in a Uint16Array) as float32.
 */
export interface InputSpec {
  shape: number[]
  dtype: Dtype
}

/**
 * tfjs code over the inputs and over `tf.Variable`s. The variables that it assigns are the state; the tensors that it
 * returns are fetched. Whatever changes from call to call is an input (learning rate, temperature: shape []), never a
 * number in the code, so that one compiled program serves a whole sweep.
 */
export type Step = (inputs: Record<string, tf.Tensor>) => Record<string, tf.Tensor>

/** A step's inputs by name. */
export type Inputs = Record<string, ArrayBufferView>

export interface Program {
  /** The backend that this program runs on, and the reason where it isn't the engine's first choice. */
  readonly backend: string
  readonly reason?: string
  /**
   * Runs the step once, or a stack of steps. Every input of the specification is given: its elements row-major, in its dtype. They
   * are not read any more once the promise is kept.
   */
  run(inputs: Inputs): Promise<Record<string, Float32Array>>
  dispose(): Promise<void>
  /** The program as readable text, where the engine has one. */
  print?(): string
}

export interface CompileOptions {
  inputs: Record<string, InputSpec>
  /**
   * Each call runs as many steps, one after another, as its inputs hold: they, and the outputs, have a leading axis of
   * steps. It saves what a call costs, and changes no bit of the results.
   */
  stacked?: boolean
}

/** What runs a training step. It knows nothing of distillation. Engines share tfjs's global state: use one at a time. */
export interface Engine {
  readonly name: EngineName
  /** Its first choice of backend or provider: 'wasm', 'tensorflow', 'cpu', … */
  readonly backend: string
  compile(step: Step, options: CompileOptions): Promise<Program>
  /**
   * Brings the variables' values up to date with the programs' state. Call it before they are read, saved, assigned from outside or
   * used by another program: from then on the variables are the truth, and every program takes them up at its next run.
   */
  sync(): Promise<void>
  dispose(): Promise<void>
}

export interface EngineOptions {
  /** Threads inside one operation; only the onnx engine has the choice. */
  threads?: number
  /** ONNX Runtime's execution provider; only for the onnx engine. */
  provider?: string
}

/** What the elements of an input are fed in. */
export const arrays = {
  float32: Float32Array,
  float16: Uint16Array,
  int32: Int32Array,
  uint16: Uint16Array,
  uint8: Uint8Array,
}

/**
 * A program's inputs are checked where they enter: names, element type, element count. Gives the number of steps that
 * they are for: 1, or what the first has of a stack, and the others must have.
 */
export function checkInputs({ inputs: specs, stacked = false }: CompileOptions, inputs: Inputs): number {
  for (const name in inputs) if (!specs[name]) throw new DecantError(`input '${name}': the step has no such input`)
  let steps = stacked ? 0 : 1
  for (const name in specs) {
    const { shape, dtype } = specs[name]!
    const given = inputs[name]
    if (!(given instanceof arrays[dtype])) {
      throw new DecantError(`input '${name}': expected ${dtype}, found ${given?.constructor.name ?? 'nothing'}`)
    }
    const size = sizeOf(shape)
    steps ||= Math.max(1, Math.floor(given.length / size))
    if (given.length !== steps * size) {
      const expected = stacked ? [steps, ...shape] : shape
      throw new DecantError(
        `input '${name}': expected ${steps * size} elements [${expected.join(', ')}], found ${given.length}`,
      )
    }
  }
  return steps
}

const sizeOf = (shape: readonly number[]) => shape.reduce((product, n) => product * n, 1)

/** A batch of nothing, for probing and tracing a step. */
export function zeroInputs(specs: Record<string, InputSpec>): Inputs {
  const zeros = ({ shape, dtype }: InputSpec) => new arrays[dtype](sizeOf(shape))
  return Object.fromEntries(Object.entries(specs).map(([name, spec]) => [name, zeros(spec)]))
}

/** Opens an engine by name; each is imported only when it is asked for. */
export async function openEngine(name: EngineName, options: EngineOptions = {}): Promise<Engine> {
  switch (name) {
    case 'eager':
      return (await import('./eager.js')).openEager()
    case 'tensorflow':
      return (await import('./tensorflow.js')).openTensorflow()
    case 'onnx':
      await (await import('./eager.js')).useBackend('cpu') // where models are built and variables live
      return (await import('./onnx/engine.js')).openOnnx(options)
    default:
      throw new DecantError(`engine '${name}': expected eager, tensorflow or onnx`)
  }
}
