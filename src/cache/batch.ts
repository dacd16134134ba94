import { DecantError } from '../errors.js'
import type { BatchColumn } from './arrow.js'
import { allocateColumn, type Column, type Stored } from './columns.js'
import { idAt } from './ids.js'
import { MAX_ID_BYTES } from './manifest.js'
import type { Rows } from './writer.js'

/**
 * One record batch being filled. Rows arrive in chunks of any size and are copied in, so that the batches' borders, and with
 * them the file's bytes, depend on the plan alone. Two of these take turns: one is filled while the other is written.
 */
export class Batch {
  rows = 0
  private readonly offsets: Int32Array
  private ids = new Uint8Array(0)
  private readonly labels: Int32Array
  private readonly validity: Uint8Array
  private nulls = 0
  private readonly values: Stored[]

  constructor(
    readonly capacity: number,
    private readonly kinds: Column[],
    private readonly classes: number,
  ) {
    this.offsets = new Int32Array(capacity + 1)
    this.labels = new Int32Array(capacity)
    this.validity = new Uint8Array(Math.ceil(capacity / 8))
    this.values = kinds.map((column) => allocateColumn(column, capacity))
  }

  /** Copies rows [from, to) of `rows`, whose columns are `stored` in their order; there must be room for them. */
  add(rows: Rows, stored: Stored[], from: number, to: number): void {
    this.addIds(rows, from, to)
    this.addLabels(rows, from, to)
    stored.forEach((values, i) => {
      const { width } = this.kinds[i]!
      this.values[i]!.set(values.subarray(from * width, to * width), this.rows * width)
    })
    this.rows += to - from
  }

  clear(): void {
    this.rows = 0
    this.nulls = 0
    this.validity.fill(0)
  }

  /** The columns as Arrow lays them out: views, valid until the next `clear`. */
  columns(): BatchColumn[] {
    const { rows, nulls } = this
    const validity = nulls ? this.validity.subarray(0, Math.ceil(rows / 8)) : NONE // may be left out where nothing is null
    return [
      {
        nodes: [{ length: rows, nulls: 0 }],
        buffers: [NONE, bytesOf(this.offsets, rows + 1), this.ids.subarray(0, this.offsets[rows])],
      },
      { nodes: [{ length: rows, nulls }], buffers: [validity, bytesOf(this.labels, rows)] },
      ...this.kinds.map(({ width, list }, i) => {
        const node = { length: rows, nulls: 0 }
        const data = bytesOf(this.values[i]!, rows * width)
        const child = { length: rows * width, nulls: 0 }
        return list ? { nodes: [node, child], buffers: [NONE, NONE, data] } : { nodes: [node], buffers: [NONE, data] }
      }),
    ]
  }

  private addIds({ ids }: Rows, from: number, to: number): void {
    const first = ids.offsets[from]!
    const at = this.offsets[this.rows]!
    const shift = at - first
    let previous = first
    for (let i = from, out = this.rows + 1; i < to; i++, out++) {
      const end = ids.offsets[i + 1]!
      // One unsigned comparison for both: an id too long, and offsets that go back.
      if ((end - previous) >>> 0 > MAX_ID_BYTES)
        throw new DecantError(
          `id '${idAt(ids, i).slice(0, 40)}…': expected at most ${MAX_ID_BYTES} bytes, found ${end - previous}`,
        )
      this.offsets[out] = end + shift
      previous = end
    }
    const size = previous + shift
    if (size > this.ids.length) {
      const grown = new Uint8Array(Math.max(size, 2 * this.ids.length, 16 * this.capacity))
      grown.set(this.ids.subarray(0, at))
      this.ids = grown
    }
    this.ids.set(ids.bytes.subarray(first, previous), at)
  }

  private addLabels({ ids, labels }: Rows, from: number, to: number): void {
    for (let i = from, out = this.rows; i < to; i++, out++) {
      const label = labels[i]!
      if (label < -1 || label >= this.classes)
        throw new DecantError(
          `row '${idAt(ids, i)}': label ${label}, but the teacher has ${this.classes} classes (0 to ${this.classes - 1})`,
        )
      this.labels[out] = label
      if (label < 0) this.nulls++
      else this.validity[out >> 3]! |= 1 << (out & 7)
    }
  }
}

const NONE = new Uint8Array(0)

const bytesOf = (values: Stored, length: number): Uint8Array =>
  new Uint8Array(values.buffer, values.byteOffset, length * values.BYTES_PER_ELEMENT)
