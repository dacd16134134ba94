import { createRequire } from 'node:module'
import type { Tensor } from 'onnxruntime-node'
import { DecantError } from '../../errors.js'

/** onnxruntime-node's native session, as far as it is used here. */
interface NativeSession {
  loadModel(buffer: ArrayBufferLike, offset: number, length: number, options: object): void
  run(feeds: Record<string, Tensor>, fetches: Record<string, null>, options: object): Record<string, Tensor>
  dispose(): void
}

export interface Binding {
  binding: { InferenceSession: new () => NativeSession }
  initOrt(): void
}

/**
 * The native binding inside onnxruntime-node 1.30, which no public function of the package gives: its
 * `InferenceSession.run` computes synchronously, but only in a `setImmediate`. tfjs's `dataSync` has to give values
 * before it returns. DecantError where the package is no longer made like that.
 */
export function findBinding(load: () => unknown = loadBinding): Binding {
  let loaded: Partial<Binding>
  try {
    loaded = load() as Partial<Binding>
  } catch (cause) {
    throw new DecantError('backend onnx: onnxruntime-node has no dist/binding.js; version 1.30 is expected', { cause })
  }
  const { loadModel, run, dispose } = loaded.binding?.InferenceSession?.prototype ?? ({} as Partial<NativeSession>)
  if (![loadModel, run, dispose, loaded.initOrt].every((part) => typeof part === 'function')) {
    throw new DecantError('backend onnx: the binding of onnxruntime-node has changed; version 1.30 is expected')
  }
  return loaded as Binding
}

function loadBinding(): unknown {
  return createRequire(import.meta.url)('onnxruntime-node/dist/binding.js')
}

/** A model that runs at once, on the cpu and on this thread. */
export class SyncSession {
  readonly #native: NativeSession
  readonly #fetches: Record<string, null>

  constructor(model: Uint8Array, outputs: readonly string[]) {
    const { binding, initOrt } = findBinding()
    initOrt() // does its work once
    this.#fetches = Object.fromEntries(outputs.map((name) => [name, null]))
    this.#native = new binding.InferenceSession()
    this.#native.loadModel(model.buffer, model.byteOffset, model.byteLength, options)
  }

  run(feeds: Record<string, Tensor>): Record<string, Tensor> {
    return this.#native.run(feeds, this.#fetches, {})
  }

  dispose(): void {
    this.#native.dispose()
  }
}

/** A graph of one kernel is as good as it gets: what counts is how soon it has loaded. */
const options = {
  executionProviders: ['cpu'],
  graphOptimizationLevel: 'disabled',
  intraOpNumThreads: 1,
  interOpNumThreads: 1,
  enableCpuMemArena: false,
  enableMemPattern: false,
  logSeverityLevel: 4, // fatal: errors are thrown, too
}
