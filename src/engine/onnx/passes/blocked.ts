import type { Graph, Node, Value } from '../ir.js'
import { fill, float, reshape } from '../kernels/kernel.js'
import { blockedDomain } from './layout.js'

/** A rule for blocks of `b` channels; undefined where it does not apply, and NCHW has to do. */
export type LowerBlocked = (node: Node, inputs: readonly Value[], graph: Graph, b: number) => Value | undefined
export type Quad = [number, number, number, number]

export const blockedOp = (op: string) => `${blockedDomain}.${op}`

/** Zeros after every element: a blocked [n, c, h, w] becomes [n, c, h·sh, w·sw]. */
export function spread(graph: Graph, x: Value, [sh, sw]: readonly [number, number], b: number): Value {
  const [n, c, h, w] = x.shape as Quad
  const rows = (n * c * h) / b
  const cells = reshape(graph, x, [rows, 1, w, b])
  const padded = graph.emit('Pad', [cells, fill(graph, 0, float([]))], float([rows, sh, w, sw * b]), {
    pads: [0, 0, 0, 0, 0, sh - 1, 0, (sw - 1) * b],
  })
  return reshape(graph, padded, [n, c, h * sh, w * sw])
}

/** The four corners of squares of 2 × 2, row by row, each blocked [n, c, h, w], as one blocked [n, c, 2h, 2w]. */
export function joinCorners(graph: Graph, corners: readonly Value[], b: number): Value {
  const [n, c, h, w] = corners[0]!.shape as Quad
  const rows = (n * c * h) / b
  const cells = corners.map((corner) => reshape(graph, corner, [rows, 1, w, b]))
  const pairs = [cells.slice(0, 2), cells.slice(2)].map((pair) =>
    graph.emit('Concat', pair, float([rows, 1, w, 2 * b]), { axis: 3 }),
  )
  const squares = graph.emit('Concat', pairs, float([rows, 2, w, 2 * b]), { axis: 1 })
  return reshape(graph, squares, [n, c, 2 * h, 2 * w])
}

/** What `joinCorners` joins. */
export function splitCorners(graph: Graph, x: Value, b: number): Value[] {
  const [n, c, h, w] = x.shape as Quad
  const rows = (n * c * h) / (2 * b)
  const halves = (whole: Value, axis: number) => {
    const type = float(whole.shape.map((d, i) => (i === axis ? d / 2 : d)))
    return graph.emitAll('Split', [whole], [type, type], { axis, split: [type.shape[axis]!, type.shape[axis]!] })
  }
  const squares = reshape(graph, x, [rows, 2, w / 2, 2 * b])
  const corners = halves(squares, 1).flatMap((row) => halves(row, 3))
  return corners.map((corner) => reshape(graph, corner, [n, c, h / 2, w / 2]))
}
