import * as tf from '@tensorflow/tfjs-core'
import { input, model, type SymbolicTensor } from '@tensorflow/tfjs-layers'
import { Enlarge } from '../branch-layers.js'
import { divergence, labelLoss, logSoftmax, weightedMean, withoutGradient } from '../losses.js'
import type { AttachOptions, Method } from '../method.js'
import { layersOf } from '../zoo/layers.js'

/**
 * Student helping teacher (Li et al. 2021, equation 7, as in the authors' code): branches b of a top-down path over the student's
 * stages learn with it. With z the logits and f the last pooled features of the student (0) and of the branches:
 * ce·Σ CE(z) + kd·Σ_b T²·KL(p_0 + 1e-7 ‖ p_b at T) + hint·Σ_b Σ (f_b - f_0)²·[f_b > 0 or f_0 > 0]. The gradient flows into p_0, too, and not
 * into f_0 of the last term, which is a sum over rows.
 */
export const teskd: Method = {
  name: 'teskd',
  needs: { teacher: false, labels: true, student: 'stages' },
  parameters: { temperature: 4, ce: 0.2, kd: 0.8, hint: 1e-7 },
  attach: (options) => ({ branches: [makeBranches(options)] }),
  loss(inputs) {
    const { student, weights, temperature, attached } = inputs
    const { ce, kd, hint } = inputs.parameters
    const outputs = attached.branches[0]!.apply(student.stages, { training: true }) as tf.Tensor2D[]
    const [logits, features] = [outputs.filter((_, i) => i % 2 === 0), outputs.filter((_, i) => i % 2 === 1)]
    const f0 = withoutGradient(() => tf.mean(student.stages.at(-1)!, [1, 2]) as tf.Tensor2D)
    const p0 = tf.exp(logSoftmax(student.logits, temperature))
    const target = tf.log(tf.add(p0, EPSILON)) as tf.Tensor2D
    const hard = tf.addN([student.logits, ...logits].map((z) => labelLoss(z, inputs)))
    // `divergence` takes both for distributions: the first has C·ε too much.
    const soft = tf.addN(
      logits.map((z) => tf.add(divergence(target, logSoftmax(z, temperature)), z.shape[1] * EPSILON)),
    )
    const apart = tf.addN(
      features.map((f) => {
        const seen = withoutGradient(() => tf.cast(tf.logicalOr(tf.greater(f, 0), tf.greater(f0, 0)), 'float32'))
        return tf.sum(tf.mul(tf.square(tf.sub(f, f0)), seen), -1)
      }),
    )
    return tf.addN([
      tf.mul(hard, ce!),
      tf.mul(weightedMean(soft, weights), tf.mul(tf.square(temperature), kd!)),
      tf.mul(tf.sum(tf.mul(apart, weights)), hint!),
    ]) as tf.Scalar
  },
}

const EPSILON = 1e-7

/**
 * From the last stage up, each step twice as large: u = 1×1 convolution of what is above; t_i = 1×1 convolution of [u + lateral_i, u].
 * Branch i: convolution of t_i down to the last stage's size, 1×1 convolution, features, logits. Outputs: logits and features of each
 * branch, the topmost first. As in the authors' code every convolution has normalisation and ReLU, and all are as wide as the last stage.
 */
function makeBranches({ shapes, dataset: { classes }, seed }: AttachOptions) {
  const { block, add, concat, pool, dense } = layersOf(seed)
  const width = shapes.stages.at(-1)![2]
  const point = (x: SymbolicTensor, name: string) => block(x, { name, filters: width, kernelSize: 1 })
  const inputs = shapes.stages.map((shape) => input({ shape }))
  const last = inputs.length
  let above = point(inputs[last - 1]!, `lateral${last}`)
  const outputs: SymbolicTensor[] = []
  for (let i = last - 1; i >= 1; i--) {
    const stage = inputs[i - 1]!
    const [height, wide] = shapes.stages[i - 1]!
    const larger = new Enlarge({ name: `enlarge${i}`, size: [height, wide], by: 'bilinear' }).apply(
      above,
    ) as SymbolicTensor
    const u = point(larger, `up${i}`)
    above = point(concat(add(u, point(stage, `lateral${i}`), `sum${i}`), u, `both${i}`), `fuse${i}`)
    const kernelSize = 2 ** (last - i)
    const down = { filters: width, kernelSize, strides: kernelSize, useBias: true, padding: 'valid' } as const
    const small = block(above, { name: `down${i}`, ...down })
    const features = pool(block(small, { name: `out${i}`, filters: width, kernelSize: 1, useBias: true }), `pool${i}`)
    outputs.push(dense(features, { name: `logits${i}`, units: classes }), features)
  }
  return model({ inputs, outputs })
}
