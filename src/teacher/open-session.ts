import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { InferenceSession, Tensor } from 'onnxruntime-node'
import { explainWebgpu, isFallback, withoutFallback } from '../onnx/webgpu.js'

type Model = Uint8Array | string
type Options = InferenceSession.SessionOptions

/**
 * Loads a teacher on WebGPU with all its arithmetic on the device. The runtime would give operators that the provider has no
 * kernel for to the processor and say nothing; here only arithmetic on shapes may run there.
 * @throws Error that names the others
 */
export async function openOnWebgpu(
  model: Model,
  options: Options,
  shape: readonly number[],
): Promise<InferenceSession> {
  try {
    return await create(model, withoutFallback(options))
  } catch (error) {
    const { message } = error as Error
    if (!isFallback(message)) throw new Error(explainWebgpu(message))
  }
  const elsewhere = await findOnProcessor(model, options, shape)
  if (elsewhere.length === 0) return create(model, options)
  throw new Error(`it has no kernel for the teacher's ${elsewhere.join(', ')}; use --provider cpu`)
}

const create = (model: Model, options: Options): Promise<InferenceSession> =>
  typeof model === 'string' ? InferenceSession.create(model, options) : InferenceSession.create(model, options)

/** What the runtime's profile holds of one node that ran. */
interface ProfiledNode {
  cat: string
  name: string
  args: { provider?: string; op_name?: string; output_type_shape?: Record<string, number[]>[] }
}

/** The operators of floating point that ran on the processor for one row, `Op (node)`. */
async function findOnProcessor(model: Model, options: Options, shape: readonly number[]): Promise<string[]> {
  const folder = mkdtempSync(join(tmpdir(), 'decant-profile-'))
  try {
    const profileFilePrefix = join(folder, 'profile')
    const session = await create(model, { ...options, enableProfiling: true, profileFilePrefix })
    const size = shape.reduce((product, n) => product * n, 1)
    await session.run({ pixels: new Tensor('uint8', new Uint8Array(size), [1, ...shape]) })
    session.endProfiling()
    await session.release()
    const nodes = JSON.parse(readFileSync(join(folder, readdirSync(folder)[0]!), 'utf8')) as ProfiledNode[]
    const found = nodes.filter(({ cat, args }) => {
      const computes = args?.output_type_shape?.some((type) =>
        Object.keys(type).some((name) => name.startsWith('float')),
      )
      return cat === 'Node' && args.provider === 'CPUExecutionProvider' && computes && !/^Memcpy/.test(args.op_name!)
    })
    return [...new Set(found.map(({ name, args }) => `${args.op_name} (${name.replace(/_kernel_time$/, '')})`))]
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}
