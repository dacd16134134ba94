import { type Provider, providers } from '../teacher/provider.js'
import type { Finding } from './finding.js'
import { type ProbeResult, SIDE } from './run-probe.js'
import type { System } from './system.js'

/** The package anew, with the libraries that belong to it. */
const reinstall = (name: string) => [`npm install --force ${name}`]

/** Each provider with a real product of two matrices, cpu first: the others are measured against it. */
export async function* checkProviders(system: System): AsyncGenerator<Finding> {
  let cpu: number | undefined
  for (const provider of [...providers].sort((a, b) => Number(b === 'cpu') - Number(a === 'cpu'))) {
    const missing = system.missingLibrary(provider)
    if (missing) {
      const fix = missing.command === undefined ? [] : [missing.command]
      yield { name: `provider ${provider}`, status: 'missing', required: false, found: missing.what, fix }
      continue
    }
    const result = await system.probe({ kind: 'provider', name: provider })
    if (provider === 'cpu') cpu = result.milliseconds
    yield providerFinding(provider, result, cpu)
  }
}

function providerFinding(
  provider: Provider,
  { milliseconds, version, error }: ProbeResult,
  cpu: number | undefined,
): Finding {
  const name = `provider ${provider}`
  const required = provider === 'cpu'
  if (milliseconds === undefined) {
    const missing = /no WebGPU adapter/.test(error ?? '')
    return { name, status: missing ? 'missing' : 'broken', required, found: error!, fix: fixOf(provider) }
  }
  const speed = provider === 'cpu' || cpu === undefined ? 1 : cpu / milliseconds
  const against = provider === 'cpu' ? `, ${version}` : `, ${speed.toPrecision(2)} times the speed of cpu`
  return {
    name,
    status: 'ok',
    required,
    found: `${SIDE} × ${SIDE} matrices in ${milliseconds.toPrecision(3)} ms (${gigaflops(milliseconds)} GFLOP/s)${against}`,
    fix: [],
    details: { milliseconds, speed },
  }
}

const gigaflops = (milliseconds: number) => ((2 * SIDE ** 3) / milliseconds / 1e6).toPrecision(3)

function fixOf(provider: Provider): string[] {
  switch (provider) {
    case 'cpu':
      return reinstall('onnxruntime-node')
    case 'webgpu':
      return [
        'apt-get install libvulkan1   # and the driver of the GPU; without a GPU:',
        'apt-get install chromium && export VK_ICD_FILENAMES=/usr/lib/chromium/vk_swiftshader_icd.json',
      ]
    default:
      return ['what it most often is: see "nvidia driver" and "cuda libraries" above']
  }
}

/** The engines that train students, each with a product of small matrices; onnx is the one that decant needs. */
export async function* checkEngines(system: System): AsyncGenerator<Finding> {
  for (const engine of ['onnx', 'eager', 'tensorflow'] as const) {
    const { version, error } = await system.probe({ kind: 'engine', name: engine })
    const name = `engine ${engine}`
    const required = engine === 'onnx'
    if (error === undefined) yield { name, status: 'ok', required, found: foundOf(engine, version), fix: [] }
    else if (engine === 'tensorflow') yield tensorflowFinding(name, error)
    else
      yield {
        name,
        status: 'broken',
        required,
        found: error,
        fix: reinstall(`@tensorflow/tfjs-backend-${engine === 'onnx' ? 'cpu' : 'wasm'}`),
      }
  }
}

const foundOf = (engine: string, backend = '?') =>
  engine === 'onnx'
    ? 'trains (the default)'
    : engine === 'eager'
      ? `trains, on tfjs's backend ${backend}`
      : 'trains, on tfjs-node'

function tensorflowFinding(name: string, error: string): Finding {
  const found = error.replace(/^engine tensorflow: /, '').split(/ Its native library| Use Node/)[0]!
  const old = /breaks on Node/.test(error)
  const fix = old
    ? ['npx --package node@22 decant train … --engine tensorflow   # or --engine onnx, which is faster']
    : ['npm install --ignore-scripts=false @tensorflow/tfjs-node@4.22.0   # optional: --engine onnx is faster']
  return { name, status: 'missing', required: false, found, fix }
}

export async function checkSharp(system: System): Promise<Finding> {
  const { version, error } = await system.probe({ kind: 'package', name: 'sharp' })
  if (error === undefined) return { name: 'sharp', status: 'ok', required: true, found: version!, fix: [] }
  const fix = [`npm install --force --os=${system.platform} --cpu=${system.arch} sharp`]
  return { name: 'sharp', status: 'broken', required: true, found: error, fix }
}

/** Only teachers of text need it. */
export async function checkTokenizers(system: System): Promise<Finding> {
  const { version, error } = await system.probe({ kind: 'package', name: 'tokenizers' })
  const common = { name: 'tokenizers', required: false }
  if (error === undefined) return { ...common, status: 'ok', found: version!, fix: [] }
  return { ...common, status: 'broken', found: error, fix: reinstall('tokenizers') }
}
