import type { ModelProto } from 'onnx-buf'
import { InferenceSession, Tensor } from 'onnxruntime-node'
import { encodeModel, GraphBuilder } from '../../src/onnx/graph-builder.js'
import { random } from '../../src/random.js'
import { words } from '../../src/teacher/run-rows.js'

export interface BuildOptions {
  opset?: number
  ir?: number
  domains?: Record<string, number>
}

/** A model from what `fill` puts into its graph. */
export function build(fill: (g: GraphBuilder) => void, options: BuildOptions = {}): ModelProto {
  const { opset = 18, ir = 8, domains } = options
  const g = new GraphBuilder()
  fill(g)
  const proto = g.model({ name: 'test', opset, ...(domains && { domains }) })
  proto.irVersion = BigInt(ir)
  return proto
}

export type Feeds = Record<string, Tensor>
export type Values = Record<string, { dims: readonly number[]; type: string; values: number[] }>

/** Runs a model on the CPU, without graph optimisation unless asked; float16 comes back decoded. */
export async function runModel(
  model: ModelProto | Uint8Array,
  feeds: Feeds,
  options: InferenceSession.SessionOptions = {},
): Promise<Values> {
  const bytes = model instanceof Uint8Array ? model : encodeModel(model)
  const session = await InferenceSession.create(bytes, { executionProviders: ['cpu'], logSeverityLevel: 3, ...options })
  try {
    const results = Object.entries(await session.run(feeds))
    return Object.fromEntries(
      results.map(([name, { dims, type, data }]) => {
        const values = Array.from<number | bigint, number>(words({ type, data }), Number)
        return [name, { dims, type, values: type === 'float16' ? values.map(fromHalf) : values }]
      }),
    )
  } finally {
    await session.release()
  }
}

export const floats = (values: ArrayLike<number>, dims: number[]) =>
  new Tensor('float32', Float32Array.from(values), dims)
export const bytes = (values: ArrayLike<number>, dims: number[]) => new Tensor('uint8', Uint8Array.from(values), dims)

/** IEEE 754 binary16, from its bits. */
export function fromHalf(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1
  const exponent = (bits >> 10) & 31
  const fraction = bits & 1023
  if (exponent === 31) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY
  return sign * (exponent === 0 ? fraction * 2 ** -24 : (1 + fraction / 1024) * 2 ** (exponent - 15))
}

/** Repeatable standard normal values, times `scale`. */
export function noise(count: number, scale = 1): number[] {
  const stream = random('noise', count)
  return Array.from({ length: count }, () => Math.fround(stream.normal() * scale))
}

/** Rows of a row-major matrix. */
export function rowsOf(values: readonly number[], width: number): number[][] {
  return Array.from({ length: values.length / width }, (_, r) => values.slice(r * width, (r + 1) * width))
}

export function softmax(row: readonly number[]): number[] {
  const top = Math.max(...row)
  const exp = row.map((z) => Math.exp(z - top))
  const sum = exp.reduce((a, b) => a + b, 0)
  return exp.map((e) => e / sum)
}

/** x [N, K] times w [K, C], in float64. */
export function matmul(x: readonly number[], w: readonly number[], inner: number): number[] {
  const width = w.length / inner
  return rowsOf(x, inner).flatMap((row) =>
    Array.from({ length: width }, (_, c) => row.reduce((sum, value, k) => sum + value * w[k * width + c]!, 0)),
  )
}
