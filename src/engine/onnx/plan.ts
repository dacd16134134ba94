import { Tensor } from 'onnxruntime-node'
import { encodeModel, GraphBuilder } from '../../onnx/graph-builder.js'
import { encode } from './encode.js'
import { type Data, Graph, type Node, sortNodes, type Type, type Value } from './ir.js'
import type { Kernel } from './kernels/kernel.js'
import { optimize } from './passes/optimize.js'
import { SyncSession } from './sync-session.js'
import { valuesOf } from './values-of.js'

/** One kernel for inputs of given types: where each of its outputs comes from, and the session that computes some. */
export interface Plan {
  /** The kernel gives a list, be it of one. */
  list: boolean
  outputs: readonly PlannedOutput[]
  session?: SyncSession
  /** Names of the inputs that the session reads. */
  reads: readonly string[]
}

interface PlannedOutput {
  type: Type
  /** An input as it is, elements that are always the same, or an output of the session. */
  source: { input: string } | { data: Data } | { computed: string }
}

export interface Call {
  name: string
  kernel: Kernel
  types: Readonly<Record<string, Type>>
  attributes: object
}

/** The plans of the latest kernels. */
export class Plans {
  /** In order of use, the oldest first. */
  readonly #plans = new Map<string, Plan>()

  find(call: Call): Plan {
    const key = keyOf(call)
    const plan = this.#plans.get(key) ?? makePlan(call)
    this.#plans.delete(key)
    this.#plans.set(key, plan)
    if (this.#plans.size > limit) {
      const [oldest, { session }] = this.#plans.entries().next().value!
      session?.dispose()
      this.#plans.delete(oldest)
    }
    return plan
  }

  clear(): void {
    for (const { session } of this.#plans.values()) session?.dispose()
    this.#plans.clear()
  }
}

/** A loaded session of one kernel takes about 0.1 MB. */
const limit = 1000

function keyOf({ name, types, attributes }: Call): string {
  const inputs = Object.entries(types).map(([input, { dtype, shape }]) => `${input}:${dtype}[${shape}]`)
  // JSON has neither NaN, infinities, -0 nor undefined.
  const plain = (_: string, x: unknown) =>
    typeof x === 'number' && (!Number.isFinite(x) || Object.is(x, -0)) ? `${1 / x} ${x}` : x
  return `${name}(${inputs}) ${JSON.stringify(attributes, plain)}`
}

function makePlan({ kernel, types, attributes }: Call): Plan {
  const graph = new Graph()
  const inputs = Object.entries(types).map(([name, type]) => [name, graph.input('Input', name, type)])
  const given = kernel(Object.fromEntries(inputs) as never, attributes as never, graph)
  const values = Array.isArray(given) ? (given as readonly Value[]) : [given as Value]
  const optimized = Object.values(optimize(Object.fromEntries(values.map((value, i) => [`y${i}`, value]))))
  const sources = optimized.map((value, i) => sourceOf(value) ?? { computed: `y${i}` })
  const computed = optimized.filter((_, i) => 'computed' in sources[i]!)
  return {
    list: Array.isArray(given),
    outputs: sources.map((source, i) => ({ type: values[i]!, source })),
    ...(computed.length > 0 ? load(optimized, sources) : { reads: [] }),
  }
}

function sourceOf(value: Value): { input: string } | { data: Data } | undefined {
  const data = valuesOf(value)
  if (data) return { data }
  let { node } = value
  while (node.op === 'Reshape') node = node.inputs[0]!.node
  return node.op === 'Input' ? { input: node.attributes.name as string } : undefined
}

function load(values: readonly Value[], sources: readonly PlannedOutput['source'][]): Pick<Plan, 'session' | 'reads'> {
  const builder = new GraphBuilder()
  const computed = values.flatMap((value, i) =>
    'computed' in sources[i]! ? [{ value, name: sources[i].computed }] : [],
  )
  const reads = sortNodes(computed.map(({ value }) => value)).filter((node) => node.op === 'Input')
  for (const node of reads) builder.input(nameOf(node), node.outputs[0]!.dtype, node.outputs[0]!.shape)
  const names = encode(
    builder,
    computed.map(({ value }) => value),
    (node) => (node.op === 'Input' ? nameOf(node) : undefined),
  )
  for (const { value, name } of computed) builder.output(name, value.dtype, value.shape, names.get(value)!)
  const model = encodeModel(builder.model({ name: 'kernel', domains: {} }))
  return {
    session: new SyncSession(
      model,
      computed.map(({ name }) => name),
    ),
    reads: reads.map(nameOf),
  }
}

function nameOf(input: Node): string {
  return input.attributes.name as string
}

/** The elements of each output that the plan computes; undefined for an output that is an input. */
export function runPlan(
  { session, reads, outputs }: Plan,
  feed: (input: string) => { data: Data; type: Type },
): (Data | undefined)[] {
  const feeds = reads.map((name) => {
    const { data, type } = feed(name)
    return [name, new Tensor(type.dtype, data as never, type.shape)]
  })
  const results = session?.run(Object.fromEntries(feeds))
  return outputs.map(({ source }) => {
    if ('data' in source) return source.data.slice() as Data
    return 'computed' in source ? (results![source.computed]!.data as Data) : undefined
  })
}
