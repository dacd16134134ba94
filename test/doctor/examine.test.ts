import { describe, expect, it } from 'vitest'
import { examine, type Finding, isSound, type System } from '../../src/doctor/index.js'
import { soundAnswer, systemWith } from './systems.js'

async function findings(changes: Partial<System> = {}): Promise<Map<string, Finding>> {
  const all = new Map<string, Finding>()
  for await (const finding of examine(systemWith(changes), { here: '/work', temporary: '/tmp' })) {
    expect(all.has(finding.name)).toBe(false)
    expect(finding.found).not.toMatch(/\n|undefined/)
    if (finding.status === 'ok') expect(finding.fix).toEqual([])
    all.set(finding.name, finding)
  }
  return all
}
const finding = async (name: string, changes: Partial<System> = {}) => (await findings(changes)).get(name)
const probing = (broken: string, error: string): Partial<System> => ({
  probe: async (probe) => (probe.name === broken ? { error } : soundAnswer(probe)),
})

it('looks at everything, and finds a machine without a GPU sound', async () => {
  const all = await findings({
    missingLibrary: (provider) => (provider === 'cuda' ? { what: 'x', command: 'y' } : undefined),
  })
  expect([...all.keys()]).toEqual([
    'node',
    'cores',
    'memory',
    'disk, here',
    'disk, temporary',
    'nvidia driver',
    'cuda libraries',
    'provider cpu',
    'provider cuda',
    'provider tensorrt',
    'provider webgpu',
    'engine onnx',
    'engine eager',
    'engine tensorflow',
    'sharp',
    'tokenizers',
  ])
  expect(isSound([...all.values()])).toBe(true)
})

describe('what decant needs', () => {
  it.each([
    ['20.18.3', 'broken'],
    ['18.20.0', 'broken'],
    ['20.19.0', 'ok'],
    ['26.0.0', 'ok'],
  ])('Node %s is %s', async (node, status) => {
    expect(await finding('node', { node })).toMatchObject({ status, required: true })
  })

  it.each([
    ['provider cpu', 'cpu', 'npm install --force onnxruntime-node'],
    ['engine onnx', 'onnx', 'npm install --force @tensorflow/tfjs-backend-cpu'],
    ['sharp', 'sharp', 'npm install --force --os=linux --cpu=x64 sharp'],
  ])('%s makes the machine unsound where it breaks', async (name, probe, command) => {
    const all = await findings(probing(probe, 'its process was killed by SIGILL'))
    expect(all.get(name)).toMatchObject({ status: 'broken', found: 'its process was killed by SIGILL', fix: [command] })
    expect(isSound([...all.values()])).toBe(false)
  })
})

describe('what it can do without', () => {
  it('says that there are no tokens of texts on a machine that the library has no binary for', async () => {
    const all = await findings(probing('tokenizers', 'Cannot find native binding'))
    expect(all.get('tokenizers')).toMatchObject({
      status: 'broken',
      found: 'Cannot find native binding',
      required: false,
    })
    expect(isSound([...all.values()])).toBe(true)
  })

  it('measures a provider against cpu', async () => {
    const cuda = await finding('provider cuda')
    expect(cuda).toMatchObject({ status: 'ok', details: { milliseconds: 0.5, speed: 80 } })
    expect(cuda!.found).toMatch(/in 0.500 ms \(4.29e\+3 GFLOP\/s\), 80 times the speed of cpu$/)
  })

  it('says how to get a provider that the package does not contain', async () => {
    const missing = { what: 'it is missing', command: 'node install' }
    const changes: Partial<System> = { missingLibrary: (provider) => (provider === 'cuda' ? missing : undefined) }
    expect(await finding('provider cuda', changes)).toMatchObject({
      status: 'missing',
      found: missing.what,
      fix: ['node install'],
    })
  })

  it('tells a provider that breaks from an adapter that is not there', async () => {
    const broken = await findings(probing('cuda', 'libcudnn.so.9: cannot open shared object file'))
    expect(broken.get('provider cuda')).toMatchObject({ status: 'broken', required: false })
    expect(isSound([...broken.values()])).toBe(true)
    const absent = await finding('provider webgpu', probing('webgpu', 'no WebGPU adapter: it takes the Vulkan loader'))
    expect(absent).toMatchObject({ status: 'missing', fix: [expect.stringContaining('libvulkan1'), expect.anything()] })
  })

  it.each([
    [
      'engine tensorflow: @tensorflow/tfjs-node is not installed. Its native library is not …',
      /^npm install .*tfjs-node@4/,
    ],
    ['engine tensorflow: the release of it breaks on Node 23 and later, this is Node 24. Use Node 20 or 22', /node@22/],
  ])('does not need tfjs-node: %s', async (error, fix) => {
    const found = await finding('engine tensorflow', probing('tensorflow', error))
    expect(found).toMatchObject({ status: 'missing', required: false, fix: [expect.stringMatching(fix)] })
    expect(found!.found).not.toMatch(/native library|Use Node/)
  })
})

describe('the machine', () => {
  it.each([
    ['version 2', { '/proc/self/cgroup': '0::/box\n', '/sys/fs/cgroup/box/cpu.max': '150000 100000\n' }],
    [
      'version 1',
      { '/sys/fs/cgroup/cpu/cpu.cfs_quota_us': '150000', '/sys/fs/cgroup/cpu/cpu.cfs_period_us': '100000' },
    ],
  ])('sees the processors that control groups of %s allow', async (_, files: Record<string, string>) => {
    const cores = await finding('cores', { read: (path) => files[path] })
    expect(cores).toMatchObject({ status: 'warning', details: { cores: 8, usable: 8, quota: 1.5 } })
    expect(cores!.fix[0]).toMatch(/--jobs 1, decant train --threads 1/)
  })

  it.each(['max 100000', '-1 100000', ''])('takes %j for no limit', async (text) => {
    expect(await finding('cores', { read: () => text })).toMatchObject({ status: 'ok', details: { quota: null } })
  })

  it('warns of little memory and names the limit of a container', async () => {
    const memory = await finding('memory', { memory: { total: 64e9, limit: 2e9, available: 0.5e9 } })
    expect(memory).toMatchObject({ status: 'warning', details: { limit: 2e9 } })
    expect(memory!.found).toBe("0.5 GB free of 2.0 GB (the container's limit; the machine has 64.0 GB)")
  })

  it('warns of a disk that is nearly full, and of a folder that is not there', async () => {
    const all = await findings({
      freeDisk: async (path) => {
        if (path === '/tmp') throw new Error("ENOENT: no such file or directory, statfs '/tmp'")
        return 0.2e9
      },
    })
    expect(all.get('disk, here')).toMatchObject({ status: 'warning', details: { free: 0.2e9 } })
    expect(all.get('disk, temporary')).toMatchObject({ status: 'warning', fix: ['mkdir -p /tmp'] })
  })
})

describe('CUDA', () => {
  it('lists the GPUs that the driver has', async () => {
    const run = async (command: string) =>
      command === 'nvidia-smi' ? 'NVIDIA H100, 550.54, 81559 MiB\nNVIDIA H100, 550.54, 81559 MiB\n' : undefined
    expect((await finding('nvidia driver', { run }))!.found).toMatch(
      /^NVIDIA H100, 81559 MiB, driver 550.54; NVIDIA H100/,
    )
    expect(await finding('nvidia driver')).toMatchObject({ status: 'missing' })
  })

  const provider = '/ort/libonnxruntime_providers_cuda.so'
  const needed = async () => ['libcublas.so.12', 'libcudnn.so.9', 'libcudart.so.12', 'libstdc++.so.6']

  it('finds what the provider library needs where the loader looks: LD_LIBRARY_PATH first, then its cache', async () => {
    const files = [provider, '/opt/cuda/libcublas.so.12', '/opt/cuda/libcudnn.so.9']
    const found = await finding('cuda libraries', {
      env: { LD_LIBRARY_PATH: '/nowhere:/opt/cuda' },
      exists: (path) => files.includes(path),
      needed,
      realPath: (path) => `${path}.4.127`,
      run: async (command) =>
        command === '/sbin/ldconfig' // not on every user's PATH
          ? '\tlibcudart.so.12 (libc6) => /lib32/libcudart.so.12\n\tlibcudart.so.12 (libc6,x86-64) => /lib/libcudart.so.12\n'
          : undefined,
    })
    expect(found).toMatchObject({ status: 'ok', found: 'libcublas 12.4.127, libcudnn 9.4.127, libcudart 12.4.127' })
    expect(found!.details).toEqual({
      'libcublas.so.12': '/opt/cuda/libcublas.so.12',
      'libcudnn.so.9': '/opt/cuda/libcudnn.so.9',
      'libcudart.so.12': '/lib/libcudart.so.12',
    })
  })

  it('says which are not there, which lie where the loader does not look, and the commands for both', async () => {
    const files = [
      provider,
      '/usr/local/cuda-12.4/lib64/libcudart.so.12',
      '/venv/lib/python3.12/site-packages/nvidia/cublas/lib/libcublas.so.12',
    ]
    const folders: Record<string, string[]> = {
      '/usr/local': ['bin', 'cuda-12.4'],
      '/venv/lib': ['python3.12'],
      '/venv/lib/python3.12/site-packages/nvidia': ['cublas'],
    }
    const found = await finding('cuda libraries', {
      env: { VIRTUAL_ENV: '/venv' },
      exists: (path) => files.includes(path),
      list: (folder) => folders[folder] ?? [],
      needed,
    })
    expect(found).toMatchObject({ status: 'missing', details: { 'libcudnn.so.9': null } })
    expect(found!.found).toMatch(
      /libcudart 12 \(in \/usr\/local\/cuda-12.4\/lib64, where the loader does not look\); not there: libcudnn.so.9$/,
    )
    expect(found!.fix[0]).toBe('python3 -m pip install nvidia-cudnn-cu12')
    expect(found!.fix[1]).toMatch(
      /^export LD_LIBRARY_PATH="\/venv\/.*\/cublas\/lib:\/usr\/local\/cuda-12.4\/lib64:\$\(python3 .*\):\$LD_LIBRARY_PATH"$/,
    )
  })

  it('names what is wanted where the provider library is not there to be asked, and is for Linux x64', async () => {
    expect((await finding('cuda libraries'))!.found).toMatch(/^not there: libcudart.so.12, .*libcudnn.so.9/)
    expect(await finding('cuda libraries', { platform: 'darwin' })).toMatchObject({ status: 'missing', fix: [] })
  })
})
