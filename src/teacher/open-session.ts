import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { InferenceSession, Tensor } from 'onnxruntime-node'
import { explainWebgpu, isFallback, withoutFallback } from '../onnx/webgpu.js'
import type { Provider } from './provider.js'
import type { FeedSpec } from './run-rows.js'

type Model = Uint8Array | string
type Options = InferenceSession.SessionOptions

export interface OpenSession {
  provider: Provider
  model: Model
  options: Options
  inputs: readonly FeedSpec[]
  /** Rows of each call, where the graph takes no other number. */
  fixedBatch?: number | undefined
}

/**
 * Loads a teacher with all its arithmetic on the provider's device. The runtime would give operators that the provider has no
 * kernel for to the processor and say nothing; here only arithmetic on shapes and integers may run there.
 * @throws Error that names the others
 */
export async function openSession({ provider, ...session }: OpenSession): Promise<InferenceSession> {
  const { model, options } = session
  if (provider === 'cpu') return create(model, options)
  try {
    return await create(model, withoutFallback(options))
  } catch (error) {
    const { message } = error as Error
    if (!isFallback(message)) throw provider === 'webgpu' ? new Error(explainWebgpu(message)) : error
  }
  const elsewhere = await findOnProcessor(session)
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

/** The operators of floating point that ran on the processor for one call, `Op (node)`. */
async function findOnProcessor({
  model,
  options,
  inputs,
  fixedBatch = 1,
}: Omit<OpenSession, 'provider'>): Promise<string[]> {
  const folder = mkdtempSync(join(tmpdir(), 'decant-profile-'))
  try {
    const profileFilePrefix = join(folder, 'profile')
    const session = await create(model, { ...options, enableProfiling: true, profileFilePrefix })
    await session.run(Object.fromEntries(inputs.map((input) => [input.name, emptyRows(input, fixedBatch)])))
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

export const arrays = { uint8: Uint8Array, float32: Float32Array, int32: Int32Array }

function emptyRows({ dtype, shape }: FeedSpec, rows: number): Tensor {
  const size = shape.reduce((product, n) => product * n, rows)
  return new Tensor(dtype, new arrays[dtype](size), [rows, ...shape]) as Tensor
}
