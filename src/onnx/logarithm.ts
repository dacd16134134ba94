import type { NodeProto } from 'onnx-buf'
import type { GraphIndex } from './edit-graph.js'
import { type Emit, emitCast } from './emit-ops.js'
import { copyWith } from './walk-graph.js'

/** The logarithm of a value, written with values that the graph has. Not `exact`: but for one constant a row, as logits are. */
export type Logarithm = { exact: boolean } & (
  | { kind: 'value'; name: string }
  /** The node, given `of` in place of its first inputs: it moves or joins values and leaves each as it is. */
  | { kind: 'node'; node: NodeProto; of: readonly Logarithm[] }
  /** log σ(x), or `negated` log σ(-x), which is log(1 - σ(x)) */
  | { kind: 'log-sigmoid'; of: Logarithm; negated: boolean }
)

export const leaf = (name: string, exact: boolean): Logarithm => ({ kind: 'value', name, exact })

export const logSigmoid = (of: Logarithm, negated = false): Logarithm => ({
  kind: 'log-sigmoid',
  of,
  negated,
  exact: true,
})

export const upToConstant = (log: Logarithm | undefined): Logarithm | undefined => log && { ...log, exact: false }

/** log(1 - p) from log p */
export function complement(log: Logarithm | undefined): Logarithm | undefined {
  if (log?.kind === 'log-sigmoid') return { ...log, negated: !log.negated }
  if (log?.kind !== 'node' || !log.exact) return undefined
  const of = log.of.map(complement).filter((part) => part !== undefined)
  return of.length > 0 && of.length === log.of.length ? { ...log, of } : undefined
}

export const isOfSigmoids = (log: Logarithm): boolean =>
  log.kind === 'log-sigmoid' || (log.kind === 'node' && log.of.some(isOfSigmoids))

/** Adds what computes a logarithm, float32; returns its name. A value of the graph that is float32 comes back as it is. */
export function emitLogarithm(emit: Emit, index: GraphIndex, log: Logarithm): string {
  const { builder } = emit
  switch (log.kind) {
    case 'value':
      return index.info(log.name)?.dtype === 'float32' ? log.name : emitCast(emit, log.name, 'float32')
    case 'node': {
      const { node, of } = log
      const output = builder.fresh(node.opType.toLowerCase())
      const input = [...of.map((part) => emitLogarithm(emit, index, part)), ...node.input.slice(of.length)]
      builder.nodes.push(copyWith(node, { input, output: [output] }))
      return output
    }
    case 'log-sigmoid': {
      // log σ(x) = -log(1 + exp(-x)), which is exact where σ(x) itself has no digits left
      const x = emitLogarithm(emit, index, log.of)
      return builder.node('Neg', [builder.node('Softplus', [log.negated ? x : builder.node('Neg', [x])])])
    }
  }
}
