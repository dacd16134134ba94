import '@tensorflow/tfjs-backend-cpu'
import '@tensorflow/tfjs-backend-wasm'
import * as tf from '@tensorflow/tfjs-core'
import { type Axis, linear, nearest } from './resize-taps.js'

// Kernels of tfjs's own backends that are wrong, as they are here.

/** The plain JavaScript backend forgets that dy has other strides than the image, other centres of pixels, and which side is which. */
for (const [kernelName, taps] of [
  [tf.ResizeNearestNeighborGrad, nearest],
  [tf.ResizeBilinearGrad, linear],
] as const) {
  replace(kernelName, 'cpu', ({ inputs, attrs, backend }) => {
    const { images, dy } = inputs as { images: tf.TensorInfo; dy: tf.TensorInfo }
    const values = backend.readSync(dy.dataId) as Float32Array
    const dx = resizeBackwards(values, { from: images.shape, to: dy.shape, taps, sampling: attrs as never })
    return { dataId: backend.write(dx, images.shape, 'float32'), shape: images.shape, dtype: 'float32' }
  })
}

/** dx of images [B, h, w, C]: each pixel of the resized ones gives its dy back to the pixels that it was made of. */
function resizeBackwards(
  dy: Float32Array,
  options: { from: number[]; to: number[]; taps: Axis; sampling: Parameters<Axis>[2] },
): Float32Array {
  const { from, to, taps, sampling } = options
  const [batch, height, width, channels] = from as [number, number, number, number]
  const [rows, columns] = [taps(height, to[1]!, sampling), taps(width, to[2]!, sampling)]
  const dx = new Float32Array(batch * height * width * channels)
  let at = 0
  for (let b = 0; b < batch; b++)
    for (const row of rows)
      for (const column of columns) {
        for (const r of row)
          for (const c of column) {
            const pixel = ((b * height + r.index) * width + c.index) * channels
            for (let d = 0; d < channels; d++) dx[pixel + d]! += dy[at + d]! * r.weight * c.weight
          }
        at += channels
      }
  return dx
}

/**
 * The wasm backend takes 0 for the maximum of a window that is below it, leaves strides and the image's size out of gradients of
 * conv3d, takes prelu's slopes for those of the last axis, and knows no centres of pixels: the JavaScript backend computes these.
 */
for (const kernelName of [
  tf.MaxPoolGrad,
  tf.MaxPool3D,
  tf.MaxPool3DGrad,
  tf.Conv3DBackpropInputV2,
  tf.Conv3DBackpropFilterV2,
  tf.Prelu,
  tf.ResizeNearestNeighborGrad,
  tf.ResizeBilinearGrad,
]) {
  const { kernelFunc } = tf.getKernel(kernelName, 'cpu')
  replace(kernelName, 'wasm', ({ inputs, attrs, backend }) => {
    const cpu = tf.findBackend('cpu') as tf.KernelBackend
    const copies = Object.entries(inputs as Record<string, tf.TensorInfo>).map(([name, { dataId, shape, dtype }]) => {
      const copy = cpu.write(backend.readSync(dataId), shape, dtype)
      return [name, { dataId: copy, shape, dtype }] as const
    })
    const result = kernelFunc({ inputs: Object.fromEntries(copies), attrs, backend: cpu }) as tf.TensorInfo
    const { shape, dtype } = result
    const dataId = backend.write(cpu.readSync(result.dataId), shape, dtype)
    for (const { dataId } of [result, ...copies.map(([, copy]) => copy)]) cpu.disposeData(dataId, true)
    return { dataId, shape, dtype }
  })
}

/** Kernel functions have the backend's own class as their parameter; what is used here all backends have. */
type Run = (call: { inputs: tf.NamedTensorInfoMap; attrs: tf.NamedAttrMap; backend: tf.KernelBackend }) => tf.TensorInfo

function replace(kernelName: string, backendName: string, run: Run): void {
  if (tf.getKernel(kernelName, backendName)) tf.unregisterKernel(kernelName, backendName)
  tf.registerKernel({ kernelName, backendName, kernelFunc: run as unknown as tf.KernelFunc })
}
