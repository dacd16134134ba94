import type * as tf from '@tensorflow/tfjs-core'
import type { Computation, Host, Result } from './kernel.js'

/**
 * Kernels that only move elements, or are linear: of complex numbers they are the same for either part. Those that only
 * move take strings, too.
 */
export const movers: ReadonlySet<string> = new Set(
  (
    'Identity Reshape ExpandDims Transpose Tile BroadcastTo Concat Pack Unpack SplitV Slice StridedSlice Reverse ' +
    'GatherV2 GatherNd Select SparseToDense TensorScatterUpdate Add AddN Sub Neg Sum ZerosLike'
  ).split(' '),
)

/** Runs a kernel that only moves elements on what ONNX has no type for. */
export function moveElements(computation: Computation, backend: Host): Result {
  const { inputs } = computation
  const complex = Object.values(inputs).some(({ dtype }) => dtype === 'complex64')
  return complex ? moveParts(computation, backend) : moveStrings(computation, backend)
}

function moveParts(computation: Computation, backend: Host): Result {
  const entries = Object.entries(computation.inputs)
  const parts = new Map(entries.map(([name, x]) => [name, x.dtype === 'complex64' ? backend.partsOf(x) : undefined]))
  const run = (part: 'real' | 'imag') =>
    backend.compute({
      ...computation,
      inputs: Object.fromEntries(entries.map(([name, x]) => [name, parts.get(name)?.[part] ?? x])),
    })
  const [reals, imags] = [run('real'), run('imag')]
  const join = (real: tf.TensorInfo, imag: tf.TensorInfo) => {
    const same = entries.find(([name]) => parts.get(name)?.real.dataId === real.dataId)
    if (!same) return backend.makeComplex({ real, imag })
    for (const { dataId } of [real, imag]) backend.disposeData(dataId)
    return backend.share(same[1], real.shape)
  }
  return Array.isArray(reals)
    ? reals.map((real, i) => join(real, (imags as tf.TensorInfo[])[i]!))
    : join(reals, imags as tf.TensorInfo)
}

/** Moves the strings' positions, then puts the strings there. */
function moveStrings(computation: Computation, backend: Host): Result {
  const strings: Uint8Array[] = []
  const positions = new Map<string, tf.TensorInfo>()
  for (const [name, { dataId, dtype, shape }] of Object.entries(computation.inputs)) {
    if (dtype !== 'string') continue
    const own = backend.readSync(dataId) as Uint8Array[]
    const first = strings.length
    for (const string of own) strings.push(string)
    positions.set(
      name,
      backend.make(
        Int32Array.from(own, (_, i) => first + i),
        shape,
        'int32',
      ),
    )
  }
  const entries = Object.entries(computation.inputs)
  const inputs = Object.fromEntries(entries.map(([name, x]) => [name, positions.get(name) ?? x]))
  const place = (result: tf.TensorInfo) => {
    const same = entries.find(([name]) => positions.get(name)?.dataId === result.dataId)
    const places = backend.readSync(result.dataId) as Int32Array
    backend.disposeData(result.dataId)
    if (same) return backend.share(same[1], result.shape)
    return backend.make(
      Array.from(places, (i) => strings[i]!),
      result.shape,
      'string',
    )
  }
  const results = backend.compute({ ...computation, inputs })
  const moved = Array.isArray(results) ? results.map(place) : place(results)
  for (const { dataId } of positions.values()) backend.disposeData(dataId)
  return moved
}
