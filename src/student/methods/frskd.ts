import * as tf from '@tensorflow/tfjs-core'
import { input, layers, model, type SymbolicTensor } from '@tensorflow/tfjs-layers'
import { Enlarge, WeightedSum } from '../branch-layers.js'
import { divergence, labelLoss, logSoftmax, weightedMean, withoutGradient } from '../losses.js'
import type { AttachOptions, Method } from '../method.js'
import { layersOf } from '../zoo/layers.js'

/**
 * Feature refinement via self-knowledge distillation (Ji et al. 2021, equations 3 to 5, as in the authors' code): a self-teacher t refines the
 * student's stages F_i top-down and bottom-up to T_i, and teaches the student its softmax and where it looks:
 * CE(z) + CE(z_t) + kd·T²·KL(p_t ‖ p at T) + attention·Σ_i mean (A(F_i) - A(T_i))², where A is the mean over channels of the squares, as a
 * vector of length 1. No gradient flows into p_t and A(T_i).
 */
export const frskd: Method = {
  name: 'frskd',
  needs: { teacher: false, labels: true, student: 'stages' },
  parameters: { temperature: 4, kd: 2, attention: 100 },
  attach: (options) => ({ branches: [makeSelfTeacher(options)] }),
  loss(inputs) {
    const { student, weights, temperature, attached } = inputs
    const { kd, attention } = inputs.parameters
    const outputs = attached.branches[0]!.apply(student.stages, { training: true }) as tf.Tensor[]
    const [logits, ...refined] = outputs as [tf.Tensor2D, ...tf.Tensor4D[]]
    const taught = withoutGradient(() => logSoftmax(logits, temperature))
    const soft = divergence(taught, logSoftmax(student.logits, temperature))
    const apart = student.stages.map((stage, i) => {
      const target = withoutGradient(() => attentionOf(refined[i]!))
      return tf.mean(tf.square(tf.sub(attentionOf(stage), target)), -1)
    })
    const rows = tf.add(tf.mul(soft, tf.mul(tf.square(temperature), kd!)), tf.mul(tf.addN(apart), attention!))
    const hard = [student.logits, logits].map((z) => labelLoss(z, inputs))
    return tf.addN([...hard, weightedMean(rows, weights)]) as tf.Scalar
  },
}

/** [B, h·w], each row of length 1. */
function attentionOf(features: tf.Tensor4D): tf.Tensor2D {
  const [rows, height, width] = features.shape
  const map = tf.reshape(tf.mean(tf.square(features), -1), [rows, height * width])
  const length = tf.sqrt(tf.add(tf.sum(tf.square(map), -1, true), 1e-24)) // a square root has no gradient at 0
  return tf.div(map, length)
}

/**
 * The authors' BiFPNc, one layer of it: from the last stage up, u_i refines [lateral_i, enlarged u_{i+1}]; from the first down, o_i refines
 * [again_i, u_i, pooled o_{i-1}], of which the last has no u. Each is as large as its stage and twice as wide. What is refined is a sum with
 * learnt weights; to refine is two depthwise separable convolutions. Outputs: the logits, made of the last o, and all o_i.
 */
function makeSelfTeacher({ shapes, dataset: { classes }, seed }: AttachOptions) {
  const { block, conv, depthwise, norm, relu, pool, dense } = layersOf(seed)
  const sum = (parts: SymbolicTensor[], name: string) => new WeightedSum({ name }).apply(parts) as SymbolicTensor
  const wide = (i: number) => 2 * shapes.stages[i]![2]
  const point = (x: SymbolicTensor, name: string, i: number) => block(x, { name, filters: wide(i), kernelSize: 1 })
  const refine = (x: SymbolicTensor, name: string) => {
    const half = (y: SymbolicTensor, part: string) => {
      const mixed = conv(depthwise(y, { name: `${part}_depth` }), { name: part, filters: x.shape[3]!, kernelSize: 1 })
      return relu(norm(mixed, `${part}_norm`), `${part}_relu`)
    }
    return half(half(x, `${name}a`), `${name}b`)
  }
  const inputs = shapes.stages.map((shape) => input({ shape }))
  const lateral = inputs.map((x, i) => point(x, `lateral${i + 1}`, i))
  const last = inputs.length - 1
  const up = [...lateral]
  for (let i = last - 1; i >= 0; i--) {
    const [height, width] = shapes.stages[i]!
    const larger = new Enlarge({ name: `enlarge${i + 1}`, size: [height, width], by: 'repeated' }).apply(up[i + 1]!)
    const above = point(larger as SymbolicTensor, `above${i + 1}`, i)
    up[i] = refine(sum([lateral[i]!, above], `upsum${i + 1}`), `up${i + 1}`)
  }
  const refined = [up[0]!]
  for (let i = 1; i <= last; i++) {
    const below = point(
      shrink(refined[i - 1]!, { name: `shrink${i + 1}`, to: shapes.stages[i]![0] }),
      `below${i + 1}`,
      i,
    )
    const again = point(inputs[i]!, `again${i + 1}`, i)
    const parts = i < last ? [again, up[i]!, below] : [again, below]
    refined.push(refine(sum(parts, `downsum${i + 1}`), `down${i + 1}`))
  }
  const logits = dense(pool(refined[last]!, 'branch_pool'), { name: 'branch_logits', units: classes })
  return model({ inputs, outputs: [logits, ...refined] })
}

/** 3×3 max-pooling to the height of the next stage, whichever way that was rounded. */
function shrink(x: SymbolicTensor, { name, to }: { name: string; to: number }): SymbolicTensor {
  const strides = Math.max(1, Math.round(x.shape[1]! / to))
  const padding = Math.ceil(x.shape[1]! / strides) === to ? 'same' : 'valid'
  return layers.maxPooling2d({ name, poolSize: 3, strides, padding }).apply(x) as SymbolicTensor
}
