import { cpus } from 'node:os'
import * as ort from 'onnxruntime-node'
import { DecantError } from '../errors.js'
import { countedModel, describeModel, type Model, readModel, sessionSource, type ValueInfo } from '../onnx/index.js'
import { tensorsOf } from '../onnx/walk-graph.js'
import type { CostTable, ModelCost } from './sweep-file.js'

const BATCHES = [1, 32]
/** Each model is called until it has this many calls or has taken this long, at least three times. */
const CALLS = 50
const SECONDS = 2

/**
 * Measures ONNX classifiers from their (normalised) input to their logits, on one thread of the CPU, whatever runs beside: for a first
 * impression, not for a benchmark.
 * @param options.shape of one row of input, for what a model leaves open
 * @throws DecantError where a model cannot be run
 */
export async function measureCosts(options: {
  models: { name: string; path: string }[]
  shape: readonly number[]
}): Promise<CostTable> {
  const { models, shape } = options
  const opened: { name: string; model: Model; session: ort.InferenceSession }[] = []
  try {
    const costs: ModelCost[] = []
    for (const { name, path } of models) {
      const model = await readModel(path)
      opened.push({ name, model, session: await openSession(path, sessionSource(model, model.proto)) })
      costs.push({
        name,
        parameters: countParameters(model),
        multiplyAdds: await countMultiplyAdds(path, model, shape),
        bytes: model.bytes,
        milliseconds: [],
      })
    }
    for (const batch of BATCHES) {
      const runs = opened.map(({ model, session }) => ({ session, feeds: feedsOf(model, { batch, shape }) }))
      const times = await takeTurns(runs.map(({ session, feeds }) => feeds && (() => session.run(feeds))))
      for (const [i, cost] of costs.entries()) cost.milliseconds.push(times[i]!)
    }
    return { provider: 'cpu', threads: 1, processor: cpus()[0]?.model ?? 'unknown', batches: BATCHES, models: costs }
  } finally {
    for (const { session } of opened) await session.release()
  }
}

/** Runs a model once. @throws DecantError where it cannot be run */
export async function checkModel(path: string, shape: readonly number[]): Promise<void> {
  const model = await readModel(path)
  const session = await openSession(path, sessionSource(model, model.proto))
  try {
    await session.run(feedsOf(model, { batch: declaredBatch(model) ?? 1, shape })!)
  } finally {
    await session.release()
  }
}

async function openSession(path: string, { model, options }: ReturnType<typeof sessionSource>) {
  return ort.InferenceSession.create(model, { ...options, intraOpNumThreads: 1, logSeverityLevel: 3 }).catch(
    (error: Error) => {
      throw new DecantError(`${path}: ONNX Runtime cannot run it: ${error.message.split('\n')[0]}`)
    },
  )
}

function countParameters({ proto }: Model): number {
  const floats = new Set([1, 10, 11, 16]) // FLOAT, FLOAT16, DOUBLE, BFLOAT16
  const weights = tensorsOf(proto).filter(({ dataType, dims }) => floats.has(dataType) && dims.length > 0)
  return weights.reduce((sum, { dims }) => sum + dims.reduce((size, d) => size * Number(d), 1), 0)
}

async function countMultiplyAdds(path: string, model: Model, shape: readonly number[]): Promise<number> {
  const { proto, outputs, count } = countedModel(model.proto)
  if (outputs.length === 0) return 0
  const session = await openSession(path, sessionSource(model, proto))
  try {
    const batch = declaredBatch(model) ?? 1
    const found = await session.run(feedsOf(model, { batch, shape })!)
    return count(outputs.map((name) => [...(found[name]!.data as BigInt64Array)].map(Number))) / batch
  } finally {
    await session.release()
  }
}

const declaredBatch = (model: Model) => {
  const batch = describeModel(model).inputs[0]?.shape?.[0]
  return typeof batch === 'number' ? batch : undefined
}

/** Ones for every input; undefined where the model has a fixed batch of another size. */
function feedsOf(
  model: Model,
  options: { batch: number; shape: readonly number[] },
): ort.InferenceSession.FeedsType | undefined {
  const feeds: Record<string, ort.Tensor> = {}
  for (const info of describeModel(model).inputs) {
    const dims = dimensionsOf(info, options)
    if (!dims) return undefined
    const size = dims.reduce((product, n) => product * n, 1)
    const make = makers[info.dtype]
    if (!make) throw new DecantError(`input '${info.name}' is ${info.dtype}: its speed cannot be measured`)
    feeds[info.name] = new ort.Tensor(info.dtype as 'float32', make(size) as Float32Array, dims)
  }
  return feeds
}

const makers: Record<string, (size: number) => ort.Tensor['data']> = {
  float32: (size) => new Float32Array(size).fill(1),
  float16: (size) => new Uint16Array(size).fill(0x3c00),
  uint8: (size) => new Uint8Array(size).fill(1),
  int32: (size) => new Int32Array(size).fill(1),
  int64: (size) => new BigInt64Array(size).fill(1n),
}

/** The sizes that a model declares, what it leaves open from the row's shape: images as NHWC, or NCHW where the channels fit only there. */
function dimensionsOf(
  { name, shape: declared }: ValueInfo,
  { batch, shape }: { batch: number; shape: readonly number[] },
): number[] | undefined {
  const [first, ...rest] = declared ?? [batch, ...shape]
  if (typeof first === 'number' && first !== batch) return undefined
  const channelsFirst = [shape.at(-1)!, ...shape.slice(0, -1)]
  const fits = (row: readonly number[]) =>
    row.length === rest.length && rest.every((d, i) => typeof d !== 'number' || d === row[i])
  const row = [shape, channelsFirst].find(fits) ?? rest
  if (row.some((d) => typeof d !== 'number')) {
    throw new DecantError(
      `input '${name}': its shape [${(declared ?? []).join(', ')}] does not fit rows of ${shape.join('x')}`,
    )
  }
  return [batch, ...(row as number[])]
}

/** Calls each in turn, so that what else the machine does meets all of them; gives medians in milliseconds. */
async function takeTurns(calls: ((() => Promise<unknown>) | undefined)[]): Promise<(number | null)[]> {
  const times: number[][] = calls.map(() => [])
  const spent = calls.map(() => 0)
  for (const call of calls) await call?.() // the first call allocates
  for (let round = 0; round < CALLS; round++) {
    for (const [i, call] of calls.entries()) {
      if (!call || (round >= 3 && spent[i]! > SECONDS * 1000)) continue
      const began = performance.now()
      await call()
      const took = performance.now() - began
      times[i]!.push(took)
      spent[i]! += took
    }
  }
  return times.map((taken) => taken.sort((a, b) => a - b)[Math.floor(taken.length / 2)] ?? null)
}
