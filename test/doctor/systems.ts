import type { Probe, ProbeResult } from '../../src/doctor/run-probe.js'
import type { System } from '../../src/doctor/system.js'

/** What the probes of a sound machine without a GPU say. */
export function soundAnswer({ kind, name }: Probe): ProbeResult {
  if (kind === 'provider') return { milliseconds: name === 'cpu' ? 40 : 0.5, version: 'ONNX Runtime 1.30.0' }
  return { version: kind === 'engine' ? 'wasm' : 'libvips 8.18.7' }
}

/** A sound machine, but for `changes`. */
export function systemWith(changes: Partial<System> = {}): System {
  return {
    platform: 'linux',
    arch: 'x64',
    node: '22.1.0',
    env: {},
    cores: { model: 'A processor', all: 8, usable: 8 },
    memory: { total: 64e9, limit: undefined, available: 32e9 },
    exists: () => false,
    list: () => [],
    read: () => undefined,
    realPath: (path) => path,
    freeDisk: async () => 100e9,
    needed: async () => [],
    missingLibrary: () => undefined,
    providerLibrary: (provider) => (provider === 'cuda' ? '/ort/libonnxruntime_providers_cuda.so' : undefined),
    run: async () => undefined,
    probe: async (probe) => soundAnswer(probe),
    ...changes,
  }
}
