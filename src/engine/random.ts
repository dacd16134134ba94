import * as tf from '@tensorflow/tfjs-core'

/**
 * Random numbers inside a step, the same on every engine and provider. They are a pure function of (seed, stream, step,
 * element), so nothing is stored: a run that resumes at a step draws what it would have drawn. `stream` counts the draws
 * of one step. tfjs's own random functions draw in JavaScript, once, when a step is recorded: they cannot be used in it.
 */
export interface RandomSource {
  /** Uniform in [0, 1), float32, 24 bits. */
  uniform(shape: readonly number[]): tf.Tensor
  /** Standard normal, float32, by Box and Muller. */
  normal(shape: readonly number[]): tf.Tensor
}

export const uniformKernel = 'DecantUniform'

export interface UniformAttrs {
  shape: readonly number[]
  /** 32 bits that tell this draw from the others of a step. */
  key: number
}

/** A source for one run of a step. `step` (float32, shape []) is an input of the step that differs from run to run. */
export function randomSource(seed: number, step: tf.Tensor): RandomSource {
  registerUniform()
  let stream = 0
  const uniform = (shape: readonly number[]) => {
    const key = pcg3d(stream++, seed, 0)
    const attributes = { shape: [...shape], key } as unknown as tf.NamedAttrMap
    return tf.engine().runKernel<tf.Tensor>(uniformKernel, { step }, attributes)
  }
  return {
    uniform,
    normal: (shape) =>
      tf.tidy(() => {
        const radius = tf.sqrt(tf.mul(tf.log(tf.sub(1, uniform(shape))), -2))
        return tf.mul(radius, tf.cos(tf.mul(uniform(shape), 2 * Math.PI)))
      }),
  }
}

/** The first of the three numbers of pcg3d (Jarzynski and Olano, "Hash Functions for GPU Rendering", JCGT 2020). */
export function pcg3d(x: number, y: number, z: number): number {
  const step = (v: number) => (Math.imul(v, 1664525) + 1013904223) >>> 0
  let [a, b, c] = [step(x), step(y), step(z)] as [number, number, number]
  const mix = () => {
    a = (a + Math.imul(b, c)) >>> 0
    b = (b + Math.imul(c, a)) >>> 0
    c = (c + Math.imul(a, b)) >>> 0
  }
  mix()
  a = (a ^ (a >>> 16)) >>> 0
  b = (b ^ (b >>> 16)) >>> 0
  c = (c ^ (c >>> 16)) >>> 0
  mix()
  return a
}

/** The kernel for tfjs's own backends; the onnx engine has its own, in the graph. */
function registerUniform(): void {
  for (const backendName of ['cpu', 'wasm', 'tensorflow']) {
    if (tf.getKernel(uniformKernel, backendName)) continue
    tf.registerKernel({
      kernelName: uniformKernel,
      backendName,
      kernelFunc: ({ inputs, attrs }) => {
        const { shape, key } = attrs as unknown as UniformAttrs
        const step = tf.engine().readSync(inputs.step!.dataId)[0] as number
        const size = shape.reduce((product, d) => product * d, 1)
        const values = Float32Array.from({ length: size }, (_, i) => (pcg3d(i, step, key) >>> 8) * 2 ** -24)
        return tf.tensor(values, [...shape])
      },
    })
  }
}
