import { InferenceSession } from 'onnxruntime-node'
import { encodeModel, GraphBuilder } from '../../src/onnx/graph-builder.js'
import { explainWebgpu, webgpu } from '../../src/onnx/webgpu.js'

/** Why WebGPU does not run here. Where VK_ICD_FILENAMES names a driver it has to: then the tests say what is wrong. */
export const missingWebgpu: string | undefined = process.env.VK_ICD_FILENAMES ? undefined : await probe()
if (missingWebgpu) console.warn(`SKIPPED, provider webgpu: ${missingWebgpu}`)

async function probe(): Promise<string | undefined> {
  const builder = new GraphBuilder()
  builder.output('y', 'float32', [1], builder.node('Neg', [builder.input('x', 'float32', [1])]))
  try {
    const session = await InferenceSession.create(encodeModel(builder.model({ name: 'probe' })), {
      executionProviders: [webgpu],
      logSeverityLevel: 4,
    })
    await session.release()
    return undefined
  } catch (error) {
    return explainWebgpu((error as Error).message)
  }
}
