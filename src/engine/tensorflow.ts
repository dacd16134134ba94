import { UnavailableError } from '../errors.js'
import { eagerProgram, useBackend } from './eager.js'
import type { Engine } from './engine.js'

// A variable, so that the compiler does not insist on an optional dependency.
const tfjsNode: string = '@tensorflow/tfjs-node'

/** tfjs on TensorFlow's C library, where @tensorflow/tfjs-node is installed with its native library. */
export async function openTensorflow(): Promise<Engine> {
  const major = Number(process.versions.node.split('.')[0])
  if (major >= 23) {
    throw new UnavailableError(
      `engine tensorflow: the release of @tensorflow/tfjs-node breaks on Node 23 and later (it calls util.isNullOrUndefined, which is gone), this is Node ${process.versions.node}. Use Node 20 or 22, or --engine onnx`,
    )
  }
  process.env.TF_CPP_MIN_LOG_LEVEL ??= '1' // warnings: its notes on the processor go to everyone's stderr
  try {
    await import(tfjsNode)
  } catch (error) {
    throw new UnavailableError(
      `engine tensorflow: ${firstLine(error)} Its native library is not in the npm package: the install step fetches it from storage.googleapis.com, which many machines cannot reach. Get it with \`npm install --ignore-scripts=false @tensorflow/tfjs-node@4.22.0\`, or as scripts/build-tfjs-node.sh of decant's repository does, from PyPI's tensorflow-cpu; or use --engine onnx`,
    )
  }
  await useBackend('tensorflow')
  return {
    name: 'tensorflow',
    backend: 'tensorflow',
    compile: async (step, options) => eagerProgram(step, { ...options, backend: 'tensorflow' }),
    async sync() {},
    async dispose() {},
  }
}

function firstLine(error: unknown): string {
  const { code, message } = error as { code?: string; message: string }
  if (code === 'ERR_MODULE_NOT_FOUND') return '@tensorflow/tfjs-node is not installed.'
  return `@tensorflow/tfjs-node does not load (${message.split('\n')[0]!.trim().replace(/\.$/, '')}).`
}
