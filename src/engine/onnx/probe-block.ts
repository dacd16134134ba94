import { InferenceSession, Tensor } from 'onnxruntime-node'
import { encodeModel, GraphBuilder } from '../../onnx/graph-builder.js'
import { blockedDomain } from './passes/layout.js'

/** Blocks that ONNX Runtime's processor code comes in. */
const sizes = [16, 8, 4]
const channels = sizes[0]!

/**
 * How many channels ONNX Runtime puts into a block of its blocked layout on this processor, undefined where it has none.
 * Two pixels are reordered: behind the first pixel of a block comes its second one, and that is looked up.
 */
export async function probeBlock(): Promise<number | undefined> {
  const builder = new GraphBuilder()
  const shape = [1, channels, 1, 2]
  const blocked = builder.node('ReorderInput', [builder.input('x', 'float32', shape)], {}, { domain: blockedDomain })
  builder.output('y', 'float32', shape, blocked)
  const model = encodeModel(builder.model({ name: 'probe', domains: { [blockedDomain]: 1 } }))
  try {
    const session = await InferenceSession.create(model, { intraOpNumThreads: 1, logSeverityLevel: 4 })
    const x = Float32Array.from({ length: 2 * channels }, (_, i) => i)
    const { y } = await session.run({ x: new Tensor('float32', x, shape) })
    await session.release()
    // The first channel's second pixel is 1.
    const size = (y!.data as Float32Array).indexOf(1)
    return sizes.includes(size) ? size : undefined
  } catch {
    return undefined
  }
}
