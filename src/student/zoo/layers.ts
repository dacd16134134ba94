import { initializers, layers, type SymbolicTensor } from '@tensorflow/tfjs-layers'
import { random } from '../../random.js'

/** tfjs takes 0 for "no seed". */
export const tfjsSeed = (...path: (string | number)[]): number => random(...path).uint32() || 1

/** Glorot and Bengio 2010, equation 16, from a stream of the layer's own: a layer more does not change the others. */
export const glorot = (seed: number, name: string) => ({
  kernelInitializer: initializers.glorotUniform({ seed: tfjsSeed(seed, 'init', name) }),
})

/** He et al. 2015, equation 10: for what a ReLU follows. */
const he = (seed: number, name: string) => initializers.heNormal({ seed: tfjsSeed(seed, 'init', name) })

export interface ConvOptions {
  name: string
  filters: number
  /** Default 3. */
  kernelSize?: number
  strides?: number
  /** Default none: batch normalisation has one. */
  useBias?: boolean
  padding?: 'same' | 'valid'
}

/** The layers that networks with batch normalisation are made of, each with weights from a stream of its own name. */
export function layersOf(seed: number) {
  const apply = (
    layer: { apply(x: SymbolicTensor | SymbolicTensor[]): unknown },
    x: SymbolicTensor | SymbolicTensor[],
  ) => layer.apply(x) as SymbolicTensor
  const norm = (x: SymbolicTensor, name: string) =>
    // The momentum and ε of PyTorch: a short training has no use for averages over 100 steps.
    apply(layers.batchNormalization({ name, momentum: 0.9, epsilon: 1e-5 }), x)
  const relu = (x: SymbolicTensor, name: string) => apply(layers.reLU({ name }), x)
  const conv = (x: SymbolicTensor, { kernelSize = 3, useBias = false, padding = 'same', ...options }: ConvOptions) =>
    apply(layers.conv2d({ kernelSize, useBias, padding, ...options, kernelInitializer: he(seed, options.name) }), x)
  const depthwise = (x: SymbolicTensor, { name, strides = 1 }: { name: string; strides?: number }) =>
    apply(
      layers.depthwiseConv2d({
        ...{ name, strides, kernelSize: 3, useBias: false, padding: 'same' },
        depthwiseInitializer: he(seed, name),
      }),
      x,
    )
  return {
    norm,
    relu,
    conv,
    depthwise,
    /** Convolution, normalisation, ReLU. */
    block: (x: SymbolicTensor, options: ConvOptions) =>
      relu(norm(conv(x, options), `${options.name}_norm`), `${options.name}_relu`),
    /** 3×3 convolution channel by channel, then 1×1, each with normalisation and ReLU (Howard et al. 2017, figure 3). */
    separable(x: SymbolicTensor, { name, filters, strides = 1 }: { name: string; filters: number; strides?: number }) {
      const spatial = relu(
        norm(depthwise(x, { name: `${name}_depth`, strides }), `${name}_depth_norm`),
        `${name}_depth_relu`,
      )
      return relu(norm(conv(spatial, { name, filters, kernelSize: 1 }), `${name}_norm`), `${name}_relu`)
    },
    add: (a: SymbolicTensor, b: SymbolicTensor, name: string) => apply(layers.add({ name }), [a, b]),
    concat: (a: SymbolicTensor, b: SymbolicTensor, name: string) => apply(layers.concatenate({ name }), [a, b]),
    pool: (x: SymbolicTensor, name: string) => apply(layers.globalAveragePooling2d({ name }), x),
    dense: (x: SymbolicTensor, { name, units }: { name: string; units: number }) =>
      apply(layers.dense({ name, units, ...glorot(seed, name) }), x),
    /** What a stage gives, under the name by which methods find it. */
    stage: (x: SymbolicTensor, i: number) => apply(layers.activation({ name: `stage${i}`, activation: 'linear' }), x),
  }
}
