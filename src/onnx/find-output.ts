import type { ModelProto } from 'onnx-buf'
import { DecantError } from '../errors.js'
import { describeValue, printValueInfo, type ValueInfo } from './describe-model.js'
import { GraphIndex, integersOf, operatorOf, stringsOf } from './edit-graph.js'
import { requireOpset } from './emit-ops.js'
import { findHead, type Head } from './find-logarithm.js'
import { holdsProbabilities } from './holds-probabilities.js'
import type { Rows } from './row-reductions.js'

/** The output that holds what a teacher says of its classes. */
export interface Output {
  /** The value, which ZipMap may still follow in the graph. */
  value: string
  /** The output's own name. */
  name: string
  /** Type and shape of the value, as far as they are declared. */
  info: ValueInfo
  /** [N, L, C], a row for each position of a sequence. */
  positions: boolean
  /** What the graph's structure says of its end. */
  head: Head | undefined
  /** The structure says that the values are probabilities. */
  probable: boolean
}

export interface OutputOptions {
  /** Name of an output, or of any value inside the graph. */
  output?: string
  /** What the teacher takes are sequences: logits may also be [N, L, C]. */
  tokens?: boolean
  /** The user says what the values are: a logarithm at the end stays. */
  told?: boolean
}

const ONE_OUTPUT =
  "a column each, as skl2onnx writes classes with zipmap='columns'; export the teacher with one output of [N, C] (zipmap=False)"

/**
 * Finds the output of a classifier. Throws DecantError where the one asked for is missing, where none is floats of shape [N, C] or of one
 * column, and where several are and are not the same logits.
 */
export function findOutput({ proto, path }: { proto: ModelProto; path: string }, options: OutputOptions): Output {
  const graph = proto.graph!
  const opset = requireOpset(proto, path)
  const index = new GraphIndex(graph)
  const all = graph.output.map((output) => behindZipMap(index, describeValue(output)))
  const found = candidates(all, { index, path, ...options }).map((candidate): Output => {
    const positions = isByPosition(candidate.info)
    const rows: Rows = { index, opset, positions }
    const head = findHead(rows, candidate.value)
    const value = head || options.told ? candidate.value : withoutLog(rows, candidate.value)
    const probable = head ? head.holds === 'probabilities' : holdsProbabilities(rows, value)
    return { ...candidate, value, positions, head, probable }
  })
  if (new Set(found.map(identityOf)).size > 1) {
    const names = found.map(({ info, name }) => printValueInfo({ ...info, name }))
    const some = [...names.slice(0, 4), ...(names.length > 4 ? [`${names.length - 4} more`] : [])].join(' and ')
    const columns = found.every(({ info }) => info.shape?.length === 1)
    throw new DecantError(
      `${path}: expected one output of logits, found ${some}: ${columns ? ONE_OUTPUT : 'choose one with --output'}`,
    )
  }
  return found[0]!
}

/** Two outputs, one the softmax or the sigmoid of the other, are the same logits. */
function identityOf({ value, head }: Output): string {
  const of = head?.logarithm.kind === 'log-sigmoid' && !head.logarithm.negated ? head.logarithm.of : head?.logarithm
  return of?.kind === 'value' ? of.name : value
}

/** Of a logarithm of probabilities, those: where they are 0 it is not finite. */
function withoutLog(rows: Rows, value: string): string {
  const node = rows.index.producer(value)
  const [inner = ''] = node?.input ?? []
  return node?.opType === 'Log' && holdsProbabilities(rows, inner) ? inner : value
}

type Candidate = Pick<Output, 'value' | 'name' | 'info'>
type Wanted = OutputOptions & { index: GraphIndex; path: string }

function candidates(all: readonly Candidate[], { index, path, output: wanted, tokens = false }: Wanted): Candidate[] {
  const form = tokens ? '[N, C] or [N, L, C]' : '[N, C]'
  const list = all.map(({ info, name }) => printValueInfo({ ...info, name })).join(', ')
  const isClasses = ({ info }: Candidate) => isFloats(info) && fits(info, tokens)
  const isColumn = ({ info }: Candidate) => isFloats(info) && isOneColumn(info)
  if (wanted !== undefined) {
    const info = index.producer(wanted) && (index.info(wanted) ?? { name: wanted, dtype: 'unknown', shape: undefined })
    const one = all.find(({ name }) => name === wanted) ?? (info && { value: wanted, name: wanted, info })
    if (!one) throw new DecantError(`${path}: no output '${wanted}'; it has ${list}, and the values inside its graph`)
    if (isClasses(one) || isColumn(one) || one.info.dtype === 'unknown') return [one]
    throw new DecantError(`${path}: expected logits ${form} of floats, found ${printValueInfo(one.info)}`)
  }
  const fitting = all.filter(isClasses)
  const declared = fitting.filter(({ info }) => info.shape)
  const columns = fitting.length > 0 ? [] : all.filter(isColumn)
  const best = [declared, fitting, columns].find((some) => some.length > 0)
  if (!best) throw new DecantError(`${path}: no output is floats of shape ${form}; it has ${list}`)
  return best
}

/** scikit-learn's converters end in a ZipMap, which makes a list of dictionaries of [N, C]. */
function behindZipMap(index: GraphIndex, info: ValueInfo): Candidate {
  const node = index.producer(info.name)
  const [value] = node && operatorOf(node) === 'ai.onnx.ml.ZipMap' ? node.input : []
  if (!node || !value) return { value: info.name, name: info.name, info }
  const classes = integersOf(node, 'classlabels_int64s')?.length || stringsOf(node, 'classlabels_strings')?.length
  const declared = index.info(value)
  return {
    value,
    name: info.name,
    info: declared?.shape
      ? declared
      : { name: info.name, dtype: declared?.dtype ?? 'float32', shape: [null, classes || null] },
  }
}

const isFloats = ({ dtype }: ValueInfo): boolean => ['float32', 'float16', 'bfloat16', 'float64'].includes(dtype)

/** [N, C] with C > 1, or [N, C, 1, 1] as convolutional classifiers give it; an unknown shape may be that. Of tokens also [N, L, C]. */
function fits({ shape }: ValueInfo, tokens: boolean): boolean {
  if (tokens && shape?.length === 3) return shape[2] !== 1
  return !shape || (shape.length >= 2 && shape[1] !== 1 && shape.slice(2).every((dim) => dim === 1))
}

/** [N] or [N, 1], as teachers of two classes may give it. */
export const isOneColumn = ({ shape }: ValueInfo): boolean =>
  shape?.length === 1 || (shape !== undefined && shape.length >= 2 && shape.slice(1).every((dim) => dim === 1))

const isByPosition = ({ shape }: ValueInfo): boolean => shape?.length === 3 && shape[2] !== 1
