import { availableParallelism } from 'node:os'
import type { InferenceSession } from 'onnxruntime-node'
import { DecantError } from '../../errors.js'
import { webgpu, withoutFallback } from '../../onnx/webgpu.js'
import type { Engine, EngineOptions } from '../engine.js'
import { deviceMemory, hostMemory } from './memory.js'
import { probeBlock } from './probe-block.js'
import { compileProgram } from './program.js'
import { Variables } from './variables.js'

/**
 * Steps of tfjs code, each recorded once into one ONNX graph and run by ONNX Runtime. The variables' values live in the
 * engine while programs run: `sync` before they are read.
 */
export async function openOnnx({ threads, provider = 'cpu' }: EngineOptions = {}): Promise<Engine> {
  if (threads !== undefined && !(Number.isInteger(threads) && threads > 0)) {
    throw new DecantError(`engine onnx: threads is ${threads}, expected a positive integer`)
  }
  if (provider !== 'cpu' && provider !== 'webgpu') {
    throw new DecantError(`engine onnx: provider '${provider}': expected cpu or webgpu`)
  }
  let turn: Promise<unknown> = Promise.resolve()
  const inTurn = <T>(run: () => Promise<T>): Promise<T> => {
    const result = turn.then(run)
    turn = result.catch(() => {}) // a run that failed does not stop the next
    return result
  }
  const options: InferenceSession.SessionOptions = {
    executionProviders: [provider === 'webgpu' ? webgpu : provider],
    intraOpNumThreads: threads ?? availableParallelism(),
    logSeverityLevel: provider === 'cpu' ? 3 : 4, // errors; a device's refusals are explained
  }
  const session = provider === 'cpu' ? options : withoutFallback(options)
  const memory = provider === 'webgpu' ? deviceMemory(session) : hostMemory
  const variables = new Variables(memory)
  const block = provider === 'cpu' ? await probeBlock() : undefined
  const runtime = { variables, session, backend: provider, block, inTurn }
  return {
    name: 'onnx',
    backend: provider,
    compile: (step, options) => compileProgram(step, options, runtime),
    sync: () => inTurn(() => variables.sync()),
    dispose: () =>
      inTurn(async () => {
        variables.clear()
        await memory.dispose()
      }),
  }
}
