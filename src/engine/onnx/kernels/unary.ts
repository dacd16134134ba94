import type * as tf from '@tensorflow/tfjs-core'
import type { Graph, Value } from '../ir.js'
import { binary } from './arithmetic.js'
import { bool, cast, constant, dtypeOf, float, type Kernel, type Kernels, kernel } from './kernel.js'

type Unary = tf.UnaryInputs

export function unary(graph: Graph, op: string, x: Value): Value {
  return graph.emit(op, [x], x)
}

const direct = (op: string) => kernel<Unary>(({ x }, _, graph) => unary(graph, op, x))
/** An operator that ONNX has for float32 only. */
const real = (op: string) => kernel<Unary>(({ x }, _, graph) => unary(graph, op, cast(graph, x, 'float32')))
/** Of whole numbers, themselves. */
const rounding = (op: string) => kernel<Unary>(({ x }, _, graph) => (x.dtype === 'float32' ? unary(graph, op, x) : x))
const test = (op: string) =>
  kernel<Unary>(({ x }, _, graph) => graph.emit(op, [cast(graph, x, 'float32')], bool(x.shape)))

/** The scalar `value` in x's type. */
function like(graph: Graph, x: Value, value: number): Value {
  return constant(graph, value, { dtype: x.dtype, shape: [] })
}

function where(graph: Graph, condition: Value, yes: Value, no: Value): Value {
  return graph.emit('Where', [condition, yes, no], { dtype: yes.dtype, shape: condition.shape })
}

function compare(graph: Graph, op: string, x: Value, value: number): Value {
  return graph.emit(op, [x, like(graph, x, value)], bool(x.shape))
}

/** log(1 + x) without cancellation: log(u) · x / (u - 1) with u = 1 + x as rounded, x where u is 1 (Kahan). */
function log1p(graph: Graph, x: Value): Value {
  const u = binary(graph, 'Add', x, graph.scalar(1))
  const exact = binary(
    graph,
    'Div',
    binary(graph, 'Mul', unary(graph, 'Log', u), x),
    binary(graph, 'Sub', u, graph.scalar(1)),
  )
  const unit = compare(graph, 'Equal', u, 1)
  // Infinity - by the formula infinity · infinity / infinity - is its own logarithm.
  const infinite = graph.emit('IsInf', [u], bool(u.shape))
  return where(graph, graph.emit('Or', [unit, infinite], unit), x, exact)
}

/** exp(x) - 1 = tanh(x / 2) · (exp(x) + 1), without cancellation. */
function expm1(graph: Graph, x: Value): Value {
  const half = unary(graph, 'Tanh', binary(graph, 'Mul', x, graph.scalar(0.5)))
  return binary(graph, 'Mul', half, binary(graph, 'Add', unary(graph, 'Exp', x), graph.scalar(1)))
}

export function clip(graph: Graph, x: Value, low: number, high: number): Value {
  return graph.emit('Clip', [x, like(graph, x, low), like(graph, x, high)], x)
}

/** x where it is positive, else x · alpha. */
function leaky(graph: Graph, x: Value, alpha: Value): Value {
  return where(graph, compare(graph, 'Less', x, 0), binary(graph, 'Mul', x, alpha), x)
}

/** An activation as tfjs's fused kernels name it. */
export function activate(
  graph: Graph,
  x: Value,
  options: { activation?: string | null; alpha?: number; weights?: Value },
): Value {
  switch (options.activation) {
    case undefined:
    case null:
    case 'linear':
      return x
    case 'relu':
      return unary(graph, 'Relu', x)
    case 'relu6':
      return clip(graph, x, 0, 6)
    case 'elu':
      return unary(graph, 'Elu', x)
    case 'sigmoid':
      return unary(graph, 'Sigmoid', x)
    case 'leakyrelu':
      return graph.emit('LeakyRelu', [x], x, { alpha: { float: options.alpha ?? 0.2 } })
    case 'prelu':
      return leaky(graph, x, options.weights!)
    default:
      throw new TypeError(`activation ${options.activation}: no such fused activation`)
  }
}

const realNames =
  'Acos Acosh Asin Asinh Atan Atanh Cos Cosh Elu Erf Exp Log Reciprocal Selu Sigmoid Sin Sinh Softplus Sqrt Tan Tanh'

export const unaries: Kernels = {
  ...Object.fromEntries(realNames.split(' ').map((op): [string, Kernel] => [op, real(op)])),
  ...Object.fromEntries(['Abs', 'Neg', 'Relu'].map((op): [string, Kernel] => [op, direct(op)])),
  ...Object.fromEntries(['Ceil', 'Floor', 'Round'].map((op): [string, Kernel] => [op, rounding(op)])),
  /** As tfjs: of NaN it is 0. */
  Sign: kernel<Unary>(({ x }, _, graph) => {
    const [above, below] = ['Greater', 'Less'].map((op) => cast(graph, compare(graph, op, x, 0), x.dtype))
    return binary(graph, 'Sub', above!, below!)
  }),
  Rsqrt: kernel<Unary>(({ x }, _, graph) => unary(graph, 'Reciprocal', unary(graph, 'Sqrt', x))),
  Square: kernel<Unary>(({ x }, _, graph) => binary(graph, 'Mul', x, x)),
  Log1p: kernel<Unary>(({ x }, _, graph) => log1p(graph, x)),
  Expm1: kernel<Unary>(({ x }, _, graph) => expm1(graph, x)),
  Relu6: kernel<Unary>(({ x }, _, graph) => clip(graph, x, 0, 6)),
  ClipByValue: kernel<Unary, tf.ClipByValueAttrs>(({ x }, { clipValueMin, clipValueMax }, graph) =>
    clip(graph, x, clipValueMin, clipValueMax),
  ),
  LeakyRelu: kernel<Unary, tf.LeakyReluAttrs>(({ x }, { alpha }, graph) =>
    graph.emit('LeakyRelu', [cast(graph, x, 'float32')], float(x.shape), { alpha: { float: alpha } }),
  ),
  Prelu: kernel<tf.PreluInputs>(({ x, alpha }, _, graph) => leaky(graph, cast(graph, x, 'float32'), alpha)),
  EluGrad: kernel<tf.EluGradInputs>(({ dy, y }, _, graph) => {
    const slope = binary(graph, 'Mul', dy, binary(graph, 'Add', y, graph.scalar(1)))
    return where(graph, compare(graph, 'GreaterOrEqual', y, 0), dy, slope)
  }),
  Step: kernel<Unary, tf.StepAttrs>(({ x }, { alpha }, graph) => {
    const positive = compare(graph, 'Greater', x, 0)
    return alpha ? where(graph, positive, like(graph, x, 1), like(graph, x, alpha)) : cast(graph, positive, x.dtype)
  }),
  IsNan: test('IsNaN'),
  IsInf: test('IsInf'),
  IsFinite: kernel<Unary>(({ x }, _, graph) => {
    const number = cast(graph, x, 'float32')
    const bad = graph.emit(
      'Or',
      [graph.emit('IsNaN', [number], bool(x.shape)), graph.emit('IsInf', [number], bool(x.shape))],
      bool(x.shape),
    )
    return graph.emit('Not', [bad], bad)
  }),
  Identity: kernel<Unary>(({ x }) => x),
  Cast: kernel<Unary, tf.CastAttrs>(({ x }, { dtype }, graph) => cast(graph, x, dtypeOf(dtype))),
}
