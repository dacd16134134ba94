import { existsSync, readdirSync } from 'node:fs'
import { createRequire } from 'node:module'
import { availableParallelism } from 'node:os'
import { basename, dirname, join, relative } from 'node:path'
import type { InferenceSession } from 'onnxruntime-node'
import { UnavailableError } from '../errors.js'
import { webgpu } from '../onnx/webgpu.js'

/** ONNX Runtime's execution providers that decant runs a teacher on. */
export const providers = ['cuda', 'tensorrt', 'webgpu', 'cpu'] as const
export type Provider = (typeof providers)[number]

/** What runs the teacher, and why it was chosen. */
export interface ProviderChoice {
  provider: Provider
  /** Device numbers, one worker each. */
  devices: number[]
  why: string
}

/** The provider libraries that are not in the npm package; its install step fetches them (package readme, "CUDA EP Installation"). */
const downloaded: Partial<Record<Provider, string>> = {
  cuda: 'libonnxruntime_providers_cuda.so',
  tensorrt: 'libonnxruntime_providers_tensorrt.so',
}

/** Where onnxruntime-node keeps its native libraries on this platform. */
function libraryFolder(): { root: string; folder: string } {
  const require = createRequire(import.meta.url)
  const root = dirname(require.resolve('onnxruntime-node/package.json'))
  const napi = readdirSync(join(root, 'bin')).find((name) => name.startsWith('napi-')) ?? 'napi-v6'
  return { root, folder: join(root, 'bin', napi, process.platform, process.arch) }
}

/** A part of a provider that is not in the npm package, and is missing; `command` fetches it, where there is one for this platform. */
export interface MissingLibrary {
  what: string
  command?: string
}

/** The file of a provider that is not in the npm package, whether it is there or not; undefined where the package has all. */
export function providerLibrary(provider: Provider): string | undefined {
  const library = downloaded[provider]
  return library && join(libraryFolder().folder, library)
}

export function missingLibrary(provider: Provider): MissingLibrary | undefined {
  const library = providerLibrary(provider)
  if (!library || existsSync(library)) return undefined
  if (process.platform !== 'linux' || process.arch !== 'x64') {
    return {
      what: `onnxruntime-node has no ${provider} provider for ${process.platform} ${process.arch} (Linux x64 has)`,
    }
  }
  const script = join(relative(process.cwd(), libraryFolder().root) || '.', 'script', 'install')
  return {
    what: `${basename(library)} is missing: the npm package does not contain it`,
    command: `ONNXRUNTIME_NODE_INSTALL=cuda12 node ${script}`,
  }
}

/** Why `provider` cannot run here as far as its files tell, with the command that mends it; undefined where nothing is missing. */
export function missingFor(provider: Provider): string | undefined {
  const missing = missingLibrary(provider)
  if (!missing?.command) return missing?.what
  return `${missing.what}. Get it (and an NVIDIA driver with CUDA 12 and cuDNN 9) with: ${missing.command}`
}

/**
 * Resolves `--provider` and `--device`. A provider that is asked for by name and cannot run is an error, never a silent
 * fall-back; `auto` takes cuda where its library is installed, else cpu, and says why.
 */
export function chooseProvider(wanted: Provider | 'auto', devices: number[] = [0]): ProviderChoice {
  if (wanted === 'auto') {
    const missing = missingFor('cuda')
    if (missing === undefined) return { provider: 'cuda', devices, why: 'auto: the CUDA provider is installed' }
    if (devices.some((device) => device !== 0)) {
      throw new UnavailableError(`--device ${devices.join(',')} needs cuda; provider cuda: ${missing}`)
    }
    return { provider: 'cpu', devices: [0], why: `auto: no CUDA provider (${missing.split(':')[0]})` }
  }
  const missing = missingFor(wanted)
  if (missing !== undefined) throw new UnavailableError(`provider ${wanted}: ${missing}`)
  if (wanted === 'cpu' && devices.some((device) => device !== 0)) {
    throw new UnavailableError(`provider cpu has one device, 0; found --device ${devices.join(',')}`)
  }
  return { provider: wanted, devices, why: `--provider ${wanted}` }
}

/** What the weights of all sessions on the processor may take together; each session packs its own again. */
const WEIGHTS_BYTES = 2 ** 30
/** To start a thread with a session takes a tenth of a second or two. */
const LEAST_SECONDS = 1

/**
 * The sessions of a device, and the threads of each where they are not the runtime's to choose. On a processor, sessions of one thread wait for
 * nobody: on 2 cores, two of them run a one-layer teacher 1.6 times as fast as one of two threads, a ResNet 1.05 times. A large teacher
 * is not loaded once a core, and what is soon done gains nothing.
 */
export function shareCores(
  provider: Provider,
  work: { weightBytes: number; seconds: number },
  cores = availableParallelism(),
): { sessions: number; threads?: number } {
  if (provider !== 'cpu' || work.seconds < LEAST_SECONDS) return { sessions: 1 }
  const sessions = Math.max(1, Math.min(cores, Math.floor(WEIGHTS_BYTES / work.weightBytes)))
  return { sessions, threads: Math.floor(cores / sessions) }
}

/** The session options that run on `provider`. */
export function sessionOptions(provider: Provider, device: number): InferenceSession.SessionOptions {
  const executionProviders: Record<Provider, InferenceSession.ExecutionProviderConfig[]> = {
    cuda: [{ name: 'cuda', deviceId: device }],
    // what TensorRT has no kernel for stays on the same GPU
    tensorrt: [
      { name: 'tensorrt', deviceId: device },
      { name: 'cuda', deviceId: device },
    ],
    webgpu: [webgpu],
    cpu: ['cpu'],
  }
  return {
    executionProviders: executionProviders[provider],
    graphOptimizationLevel: 'all',
    logSeverityLevel: provider === 'webgpu' ? 4 : 3, // its refusals are explained
    // threads that wait by spinning take the core that decodes and writes beside them
    extra: { session: { intra_op: { allow_spinning: '0' } } },
  }
}
