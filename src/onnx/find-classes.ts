import type { GraphProto, NodeProto } from 'onnx-buf'
import { describeValue } from './describe-model.js'
import { elementTypes } from './dtypes.js'
import { GraphIndex, integerOf, integersOf, operatorOf, readBy, stringsOf } from './edit-graph.js'

/** A class as a model's file names it. */
export type ClassLabel = number | string

/** An output that gives each row's class itself: [N] integers or strings. */
export interface LabelOutput {
  name: string
  dtype: string
  /** What it gives for each class, in the order of the scores that it is chosen by; undefined: their places, 0 to C - 1. */
  labels: ClassLabel[] | undefined
  /** It may give places although it has labels, as two classes of ONNX Runtime's trees do. */
  orPlaces: boolean
}

/** How a label comes about. */
interface Decision extends Pick<LabelOutput, 'labels' | 'orPlaces'> {
  /** The value that the largest is chosen of. */
  by: string
}

/** Nodes followed at most: graphs of strangers may run in circles. */
const MAX_NODES = 50

/**
 * The outputs that give a class, chosen by what the value `of` is made of, or chosen of it: those of a classifier of ai.onnx.ml, or of the
 * largest score, mapped to labels or not. Of another head's classes they are not.
 */
export function findLabelOutputs(graph: GraphProto, of: string): LabelOutput[] {
  const index = new GraphIndex(graph)
  return graph.output.map(describeValue).flatMap(({ name, dtype }) => {
    const decision = decide(index, name)
    if (!decision || !isRelated(index, decision.by, of)) return []
    return [{ name, dtype, labels: decision.labels, orPlaces: decision.orPlaces }]
  })
}

/**
 * The labels that a model names for the classes of its output `of` [N, C], in their order; undefined where it names none. They stand in what makes its
 * label output (onnx/docs/Operators-ml.md: classlabels_*, ArrayFeatureExtractor, LabelEncoder), in the ZipMap behind the scores, or in the classifier before them.
 */
export function findClassLabels(graph: GraphProto, of: string): ClassLabel[] | undefined {
  const index = new GraphIndex(graph)
  const named = findLabelOutputs(graph, of).find(({ labels }) => labels)
  if (named) return named.labels
  for (let [value, step] = [of, 0]; step < MAX_NODES; step++) {
    const node = index.producer(value)
    if (!node) return undefined
    const labels = classLabelsOf(node)
    if (labels) return node.output[0] === value && isClassifier(node) ? undefined : labels
    if (!keepsOrder.has(operatorOf(node))) return undefined
    value = node.input.find((name) => !index.isConstant(name)) ?? ''
  }
  return undefined
}

function decide(index: GraphIndex, value: string, step = 0): Decision | undefined {
  const node = index.producer(value)
  if (!node || step > MAX_NODES) return undefined
  const [first = '', second = ''] = node.input
  const before = (name: string) => decide(index, name, step + 1)
  if (isClassifier(node)) {
    const labels = node.output[0] === value ? classLabelsOf(node) : undefined
    // of trees with leaves of both classes, as CatBoost writes them, ONNX Runtime 1.30 says 0 and 1, whatever numbers they have
    const orPlaces = node.opType === 'TreeEnsembleClassifier' && labels?.length === 2
    return labels && { labels, orPlaces, by: node.output[1] || first }
  }
  switch (operatorOf(node)) {
    case 'Identity':
    case 'Reshape':
    case 'Flatten':
    case 'Squeeze':
    case 'Unsqueeze':
      return before(first)
    case 'Cast': {
      const inner = before(first)
      return integerOf(node, 'to') === elementTypes.string
        ? inner && { ...inner, labels: inner.labels?.map(String) }
        : inner
    }
    case 'ArgMax':
    case 'ArgMin':
      return { labels: undefined, orPlaces: false, by: first }
    case 'TopK':
      return node.output[1] === value ? { labels: undefined, orPlaces: false, by: first } : undefined
    case 'Gather':
    case 'ai.onnx.ml.ArrayFeatureExtractor': {
      const [labels, inner] = [index.texts(first) ?? index.integers(first), before(second)]
      return labels && inner && !inner.labels ? { ...inner, labels } : undefined
    }
    case 'ai.onnx.ml.LabelEncoder': {
      const inner = before(first)
      return inner && { ...inner, labels: encode(node, inner.labels) }
    }
    default:
      return undefined
  }
}

const isClassifier = (node: NodeProto): boolean =>
  /^ai\.onnx\.ml\.(Linear|SVM|TreeEnsemble)Classifier$/.test(operatorOf(node))

/** Of a classifier, or a ZipMap. Attributes that are not given are empty. */
function classLabelsOf(node: NodeProto): ClassLabel[] | undefined {
  if (!isClassifier(node) && operatorOf(node) !== 'ai.onnx.ml.ZipMap') return undefined
  const given = [
    stringsOf(node, 'classlabels_strings'),
    integersOf(node, 'classlabels_int64s'),
    integersOf(node, 'classlabels_ints'),
  ]
  return given.find((labels) => labels && labels.length > 0)
}

/** What a LabelEncoder makes of labels, or of places; undefined where one of them is not in its table. */
function encode(node: NodeProto, labels: readonly ClassLabel[] | undefined): ClassLabel[] | undefined {
  const table = (what: string) =>
    [stringsOf(node, `${what}_strings`), integersOf(node, `${what}_int64s`)].find((list) => list && list.length > 0)
  const [keys, values] = [table('keys'), table('values')]
  // version 1 has one list, of which the places are the integers
  const one = stringsOf(node, 'classes_strings')
  const of = new Map<ClassLabel, ClassLabel>(
    one ? one.map((label, place) => [place, label]) : keys?.map((key, i) => [key, values?.[i] ?? '']),
  )
  const wanted = labels ?? [...of.keys()].map((_, place) => place)
  const found = wanted.map((label) => of.get(label))
  return of.size > 0 && found.every((label) => label !== undefined) ? found : undefined
}

/** One column for each class before and after, in the same order. */
const keepsOrder = new Set([
  ...['Identity', 'Cast', 'Softmax', 'LogSoftmax', 'Log', 'Exp', 'Sigmoid', 'Add', 'Mul', 'Div', 'Dropout'],
  ...['ai.onnx.ml.ZipMap', 'ai.onnx.ml.Normalizer', 'ai.onnx.ml.Scaler'],
])

/** Is one of two values made of the other, once what keeps the order of the classes is left out? */
function isRelated(index: GraphIndex, a: string, b: string): boolean {
  const [from, to] = [strip(index, a), strip(index, b)]
  return ancestorsOf(index, to).has(from) || ancestorsOf(index, from).has(to)
}

function strip(index: GraphIndex, value: string): string {
  let current = value
  for (let step = 0; step < MAX_NODES; step++) {
    const node = index.producer(current)
    if (!node || !keepsOrder.has(operatorOf(node))) break
    const computed = node.input.filter((name) => !index.isConstant(name))
    if (computed.length !== 1 || !index.producer(computed[0])) break
    current = computed[0]!
  }
  return current
}

/** A value and all that it is computed from, but for what the model is fed. */
function ancestorsOf(index: GraphIndex, value: string): Set<string> {
  const found = new Set<string>()
  const open = [value]
  for (let name = open.pop(); name !== undefined; name = open.pop()) {
    const node = index.producer(name)
    if (!node || found.has(name)) continue
    found.add(name)
    open.push(...readBy(node))
  }
  return found
}
