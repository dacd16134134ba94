import type * as tf from '@tensorflow/tfjs-core'
import { InferenceSession, type Tensor } from 'onnxruntime-node'
import { encodeModel, GraphBuilder } from '../../onnx/graph-builder.js'

/** Where a provider keeps the programs' state between their runs. */
export interface Memory {
  put(tensor: Tensor): Promise<Tensor>
  /** The elements of a state tensor, copied. */
  get(tensor: Tensor): Promise<tf.TypedArray>
  dispose(): Promise<void>
}

export const hostMemory: Memory = {
  put: async (tensor) => tensor,
  get: async (tensor) => tensor.data.slice() as tf.TypedArray,
  async dispose() {},
}

/**
 * Buffers of the device. onnxruntime-node 1.30 cannot download one (its `getData` ends the process), but it copies a
 * session's outputs to where they are asked for: a graph that computes nothing moves tensors both ways. A buffer goes with
 * the session that made it, so programs are given all that they write.
 */
export function deviceMemory(options: InferenceSession.SessionOptions): Memory {
  const sessions = new Map<string, Promise<InferenceSession>>()
  const move = async (tensor: Tensor, location: 'cpu' | 'gpu-buffer'): Promise<Tensor> => {
    const { type, dims } = tensor
    const key = `${type} ${dims.length} ${location}`
    const session =
      sessions.get(key) ?? openMove(type as 'float32', dims.length, { ...options, preferredOutputLocation: location })
    sessions.set(key, session)
    return (await (await session).run({ x: tensor })).y!
  }
  return {
    put: (tensor) => move(tensor, 'gpu-buffer'),
    get: async (tensor) => (await move(tensor, 'cpu')).data as tf.TypedArray,
    async dispose() {
      for (const session of sessions.values()) await (await session).release()
      sessions.clear()
    },
  }
}

function openMove(dtype: 'float32', rank: number, options: InferenceSession.SessionOptions): Promise<InferenceSession> {
  const builder = new GraphBuilder()
  const shape = new Array<null>(rank).fill(null)
  builder.output('y', dtype, shape, builder.node('Identity', [builder.input('x', dtype, shape)]))
  return InferenceSession.create(encodeModel(builder.model({ name: 'move' })), options)
}
