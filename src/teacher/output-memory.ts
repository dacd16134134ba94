import { Tensor } from 'onnxruntime-node'
import type { TeacherOutput, Words } from './run-rows.js'

const arrays = { float32: Float32Array, float16: Uint16Array, int32: Int32Array, uint8: Uint8Array }
type Type = keyof typeof arrays
type Outputs<T> = Record<string, T>

/** An output of a session: [rows · places, ...shape]. */
interface Layout {
  type: Type
  places: number
  shape: readonly number[]
  /** Words of a row. */
  width: number
}

/** onnxruntime-node refuses Float16Arrays, which a tensor makes of float16 on Node 24. */
const canBeGiven = ({ type }: Tensor) => type in arrays && !(type === 'float16' && 'Float16Array' in globalThis)

/** Outputs lie one after another in a buffer, each at a multiple of this. */
const ALIGN = 64

/**
 * Where a session writes its outputs: buffers that come back when their rows have been copied. Memory of the runtime's own is garbage for
 * the thread that copies it, which V8 collects by marking its whole heap, and its pages are new each time.
 */
export class OutputMemory {
  private layouts: Outputs<Layout> | undefined
  private free: ArrayBuffer[] = []

  /** Learns from a run what the outputs of all runs look like. */
  learn(outputs: Outputs<Tensor>, rows: number): void {
    if (this.layouts || !Object.values(outputs).every(canBeGiven)) return
    const layouts = Object.entries(outputs).map(([name, { type, dims, size }]): [string, Layout] => [
      name,
      { type: type as Type, places: dims[0]! / rows, shape: dims.slice(1), width: size / rows },
    ])
    this.layouts = Object.fromEntries(layouts)
  }

  /** Memory of any content for `rows` rows, in one buffer; undefined before the first run. */
  take(rows: number): TeacherOutput | undefined {
    if (!this.layouts) return undefined
    let total = 0
    const places = Object.entries(this.layouts).map(([name, { type, width }]) => {
      const at = total
      total += Math.ceil((rows * width * arrays[type].BYTES_PER_ELEMENT) / ALIGN) * ALIGN
      return { name, type, at, length: rows * width }
    })
    const last = this.free.pop()
    const buffer = last && last.byteLength >= total ? last : new ArrayBuffer(total)
    const outputs = places.map(({ name, type, at, length }) => [name, new arrays[type](buffer, at, length)])
    return toOutput(Object.fromEntries(outputs), rows)
  }

  /** As a session is given it. */
  tensors({ columns, rowSum, rows }: TeacherOutput): Outputs<Tensor> {
    const all: Outputs<Words> = { ...columns, row_sum: rowSum }
    return Object.fromEntries(
      Object.entries(this.layouts!).map(([name, { type, places, shape }]) => [
        name,
        new Tensor(type, all[name]!, [rows * places, ...shape]) as Tensor,
      ]),
    )
  }

  /** Takes buffers back, for the next rows. */
  give(buffers: readonly ArrayBuffer[]): void {
    this.free.push(...buffers)
  }
}

export const toOutput = ({ row_sum, ...columns }: Outputs<Words>, rows: number): TeacherOutput => ({
  rows,
  columns,
  rowSum: row_sum as Float32Array,
})
