import type * as tf from '@tensorflow/tfjs-core'
import { kernels } from '../kernels/index.js'
import { dft } from '../kernels/spectral.js'
import type { Parts } from '../storage.js'
import { type Host, type HostKernels, hostKernel, type Inputs } from './kernel.js'

function compute(backend: Host, name: string, inputs: Inputs, attributes = {}): tf.TensorInfo {
  return backend.compute({ name, kernel: kernels[name]!, inputs, attributes }) as tf.TensorInfo
}

/** (a + bi)(c + di) = (ac - bd) + (ad + bc)i. */
function multiply(backend: Host, a: Parts, b: Parts): Parts {
  const pair = (name: string, x: tf.TensorInfo, y: tf.TensorInfo) => compute(backend, name, { a: x, b: y })
  const products = [
    pair('Multiply', a.real, b.real),
    pair('Multiply', a.imag, b.imag),
    pair('Multiply', a.real, b.imag),
    pair('Multiply', a.imag, b.real),
  ] as const
  const result = { real: pair('Sub', products[0], products[1]), imag: pair('Add', products[2], products[3]) }
  for (const { dataId } of products) backend.disposeData(dataId)
  return result
}

function copy(backend: Host, { dataId, shape, dtype }: tf.TensorInfo): tf.TensorInfo {
  return backend.make(backend.readSync(dataId), shape, dtype)
}

function transform(inverse: boolean) {
  return hostKernel<tf.FFTInputs>(({ inputs: { input }, backend }) => {
    const parts = backend.partsOf(input)
    const computation = { name: 'dft', kernel: dft, inputs: { ...parts }, attributes: { inverse } }
    const [real, imag] = backend.compute(computation) as tf.TensorInfo[]
    return backend.makeComplex({ real: real!, imag: imag! })
  })
}

export const complexes: HostKernels = {
  Complex: hostKernel<tf.ComplexInputs>(({ inputs: { real, imag }, backend }) =>
    backend.makeComplex({ real: copy(backend, real), imag: copy(backend, imag) }),
  ),
  Real: hostKernel<tf.RealInputs>(({ inputs: { input }, backend }) => copy(backend, backend.partsOf(input).real)),
  Imag: hostKernel<tf.ImagInputs>(({ inputs: { input }, backend }) => copy(backend, backend.partsOf(input).imag)),
  ComplexAbs: hostKernel<tf.ComplexAbsInputs>(({ inputs: { x }, backend }) => {
    const [real, imag] = Object.values(backend.partsOf(x)).map((part) => backend.readSync(part.dataId) as Float32Array)
    return backend.make(
      real!.map((re, i) => Math.hypot(re, imag![i]!)),
      x.shape,
      'float32',
    )
  }),
  Multiply: hostKernel<tf.MultiplyInputs>(({ inputs: { a, b }, backend }) =>
    backend.makeComplex(multiply(backend, backend.partsOf(a), backend.partsOf(b))),
  ),
  Cast: hostKernel<tf.CastInputs, tf.CastAttrs>(({ inputs: { x }, attributes: { dtype }, backend }) => {
    if (x.dtype === dtype) return backend.share(x, x.shape)
    if (dtype === 'complex64') {
      const real = compute(backend, 'Cast', { x }, { dtype: 'float32' })
      return backend.makeComplex({
        real: real.dataId === x.dataId ? copy(backend, x) : real,
        imag: compute(backend, 'ZerosLike', { x: real }),
      })
    }
    if (x.dtype !== 'complex64' || dtype === 'string') throw new TypeError(`cannot cast ${x.dtype} to ${dtype}`)
    const { real } = backend.partsOf(x) // as tfjs: the imaginary part is dropped
    return dtype === 'float32' ? copy(backend, real) : compute(backend, 'Cast', { x: real }, { dtype })
  }),
  OnesLike: hostKernel<tf.OnesLikeInputs>(({ inputs: { x }, backend }) => {
    const { real, imag } = backend.partsOf(x)
    const ones = compute(backend, 'OnesLike', { x: real })
    return backend.makeComplex({ real: ones, imag: compute(backend, 'ZerosLike', { x: imag }) })
  }),
  FFT: transform(false),
  IFFT: transform(true),
}
