import { delimiter, dirname, join } from 'node:path'
import type { Finding } from './finding.js'
import type { System } from './system.js'

/**
 * What libonnxruntime_providers_cuda.so of ONNX Runtime 1.20 and later needs of CUDA 12 and cuDNN 9, for machines where it is not yet
 * there to be asked (onnxruntime.ai, "CUDA Execution Provider", Requirements).
 */
const expected = [
  'libcudart.so.12',
  'libcublas.so.12',
  'libcublasLt.so.12',
  'libcudnn.so.9',
  'libcufft.so.11',
  'libcurand.so.10',
  'libnvrtc.so.12',
]

/** What NVIDIA ships, and is not on a machine by itself. */
const isNvidia = /^lib(cu|nv)/

/** NVIDIA's wheels on PyPI that carry a library. */
const wheels: [RegExp, string][] = [
  [/^libcudart/, 'nvidia-cuda-runtime-cu12'],
  [/^libcublas/, 'nvidia-cublas-cu12'],
  [/^libcudnn/, 'nvidia-cudnn-cu12'],
  [/^libcufft/, 'nvidia-cufft-cu12'],
  [/^libcurand/, 'nvidia-curand-cu12'],
  [/^libnvrtc/, 'nvidia-cuda-nvrtc-cu12'],
  [/^libnvJitLink/, 'nvidia-nvjitlink-cu12'],
  [/^libnv(infer|onnxparser)/, 'tensorrt-cu12-libs'],
]

export async function checkDriver(system: System): Promise<Finding> {
  const query = ['--query-gpu=name,driver_version,memory.total', '--format=csv,noheader']
  const gpus = (await system.run('nvidia-smi', query))?.trim()
  if (gpus) {
    const found = gpus.split('\n').map((line) => {
      const [name, driver, memory] = line.split(',').map((cell) => cell.trim())
      return `${name}, ${memory}, driver ${driver}`
    })
    return { name: 'nvidia driver', status: 'ok', required: false, found: found.join('; '), fix: [] }
  }
  return {
    name: 'nvidia driver',
    status: 'missing',
    required: false,
    found: 'nvidia-smi finds no GPU',
    fix: ['with an NVIDIA GPU: apt-get install nvidia-driver   # in a container: docker run --gpus all …'],
  }
}

/** The libraries of NVIDIA that the CUDA (and TensorRT) provider needs, and where the loader finds them. */
export async function checkLibraries(system: System): Promise<Finding> {
  const name = 'cuda libraries'
  const base = { name, required: false } as const
  if (system.platform !== 'linux' || system.arch !== 'x64') {
    return { ...base, status: 'missing', found: 'the CUDA provider is for Linux x64', fix: [] }
  }
  const wanted = await wantedLibraries(system)
  const cache = (await system.run('ldconfig', ['-p'])) ?? (await system.run('/sbin/ldconfig', ['-p'])) ?? ''
  const places = wanted.map((soname) => ({ soname, ...placeOf(system, soname, cache) }))
  const there = places.flatMap(({ soname, path, searched }) => {
    if (path === undefined) return []
    const version = system.realPath(path).split('.so.')[1]
    const hidden = searched ? '' : ` (in ${dirname(path)}, where the loader does not look)`
    return [`${soname.split('.so.')[0]} ${version}${hidden}`]
  })
  const absent = places.flatMap(({ soname, path }) => (path === undefined ? [soname] : []))
  const found = [there.join(', '), absent.length > 0 && `not there: ${absent.join(', ')}`].filter(Boolean).join('; ')
  const details = Object.fromEntries(places.map(({ soname, path }) => [soname, path ?? null]))
  const status = places.every(({ searched }) => searched) ? 'ok' : 'missing'
  return { ...base, status, found, fix: fixOf(places), details }
}

async function wantedLibraries({ providerLibrary, exists, needed }: System): Promise<string[]> {
  const lists = await Promise.all(
    (['cuda', 'tensorrt'] as const)
      .map(providerLibrary)
      .filter((path) => path !== undefined && exists(path))
      .map((path) => needed(path!)),
  )
  const wanted = lists.flat().filter((soname) => isNvidia.test(soname))
  return wanted.length > 0 ? [...new Set(wanted)] : expected
}

interface Place {
  path?: string
  /** The loader looks there. */
  searched?: boolean
}

/** As the loader searches (ld.so(8)): LD_LIBRARY_PATH, then the cache; and then where CUDA lies and the loader does not look. */
function placeOf(system: System, soname: string, cache: string): Place {
  const inFolder = (folder: string) => system.exists(join(folder, soname))
  const listed = (system.env.LD_LIBRARY_PATH ?? '').split(delimiter).filter(Boolean).find(inFolder)
  if (listed) return { path: join(listed, soname), searched: true }
  const cached = cache.split('\n').find((line) => line.trim().startsWith(`${soname} (`) && line.includes('x86-64'))
  if (cached) return { path: cached.split('=> ')[1]!.trim(), searched: true }
  const elsewhere = otherFolders(system).find(inFolder)
  return elsewhere ? { path: join(elsewhere, soname), searched: false } : {}
}

function otherFolders({ env, list }: System): string[] {
  const toolkits = list('/usr/local')
    .filter((name) => /^cuda/.test(name))
    .map((name) => `/usr/local/${name}/lib64`)
  const wheels = [env.VIRTUAL_ENV, env.CONDA_PREFIX].filter(Boolean).flatMap((root) => {
    const lib = join(root!, 'lib')
    const packages = list(lib)
      .filter((name) => /^python3/.test(name))
      .map((name) => join(lib, name, 'site-packages', 'nvidia'))
    return [lib, ...packages.flatMap((folder) => list(folder).map((name) => join(folder, name, 'lib')))]
  })
  return [...toolkits, ...wheels]
}

function fixOf(places: (Place & { soname: string })[]): string[] {
  const absent = places.filter(({ path }) => path === undefined)
  const hidden = places.flatMap(({ path, searched }) => (path !== undefined && !searched ? [dirname(path)] : []))
  const packages = absent.flatMap(({ soname }) => wheels.find(([pattern]) => pattern.test(soname))?.[1] ?? [])
  const path = [
    ...new Set(hidden),
    ...(packages.length > 0
      ? [`$(python3 -c 'import glob, nvidia; print(":".join(glob.glob(list(nvidia.__path__)[0] + "/*/lib")))')`]
      : []),
  ]
  return [
    ...(packages.length > 0 ? [`python3 -m pip install ${[...new Set(packages)].join(' ')}`] : []),
    ...(path.length > 0 ? [`export LD_LIBRARY_PATH="${path.join(':')}:$LD_LIBRARY_PATH"`] : []),
  ]
}
