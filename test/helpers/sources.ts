import { createHash } from 'node:crypto'
import { type IdColumn, idColumn } from '../../src/cache/index.js'
import type { Batch, Inputs, Source, SourceInput } from '../../src/source/index.js'

/** A source of rows that lie in memory; ids are the rows' numbers. */
export function sourceOf(input: SourceInput, values: Inputs, labels?: number[]): Source {
  const width = input.shape.reduce((product, n) => product * n, 1)
  const rows = values.length / width
  const label = Int32Array.from({ length: rows }, (_, row) => labels?.[row] ?? -1)
  const read = async (wanted: ArrayLike<number>): Promise<Batch> => {
    const chosen = Array.from(wanted)
    const inputs = new (values.constructor as new (length: number) => Inputs)(chosen.length * width)
    chosen.forEach((row, i) => {
      inputs.set(values.subarray(row * width, (row + 1) * width), i * width)
    })
    const ids: IdColumn = idColumn(chosen.map(String))
    return {
      first: chosen[0] ?? 0,
      rows: chosen.length,
      ids,
      labels: label.filter((_, i) => chosen.includes(i)),
      inputs,
      skipped: [],
    }
  }
  return {
    uri: 'memory',
    options: {},
    kind: 'idx',
    rows,
    input,
    classes: undefined,
    topLabel: Math.max(-1, ...label),
    decoder: undefined,
    fingerprint: createHash('sha256').update(values).digest('hex'),
    async *batches({ from = 0, to = rows, size }) {
      for (let at = from; at < to; at += size)
        yield read(Array.from({ length: Math.min(size, to - at) }, (_, i) => at + i))
    },
    read,
    async close() {},
  }
}
