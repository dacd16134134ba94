/** A column of strings in Arrow's utf8 layout: row i is `bytes[offsets[i] .. offsets[i + 1])`; offsets[0] = 0, n + 1 offsets. */
export interface IdColumn {
  offsets: Int32Array
  bytes: Uint8Array
}

const decoder = new TextDecoder()

/** The id of row `i` as a string. Not for the hot path. */
export function idAt(ids: IdColumn, i: number): string {
  return decoder.decode(ids.bytes.subarray(ids.offsets[i]!, ids.offsets[i + 1]!))
}

/** `n` decimal numbers, `at(i)` in 0..2³²-1, written digit by digit: no JS string per row. */
export function decimalIds(n: number, at: (i: number) => number): IdColumn {
  const offsets = new Int32Array(n + 1)
  for (let i = 0; i < n; i++) offsets[i + 1] = offsets[i]! + digits(at(i))
  const bytes = new Uint8Array(offsets[n]!)
  for (let i = 0; i < n; i++) {
    let rest = at(i)
    for (let end = offsets[i + 1]! - 1; end >= offsets[i]!; end--) {
      const tenth = (rest / 10) | 0
      bytes[end] = 48 + rest - tenth * 10
      rest = tenth
    }
  }
  return { offsets, bytes }
}

/** Rows `at(0..n-1)` of `ids` as a column of their own. */
export function pickIds(ids: IdColumn, n: number, at: (i: number) => number): IdColumn {
  const offsets = new Int32Array(n + 1)
  for (let i = 0; i < n; i++) offsets[i + 1] = offsets[i]! + ids.offsets[at(i) + 1]! - ids.offsets[at(i)]!
  const bytes = new Uint8Array(offsets[n]!)
  for (let i = 0; i < n; i++) bytes.set(ids.bytes.subarray(ids.offsets[at(i)]!, ids.offsets[at(i) + 1]!), offsets[i])
  return { offsets, bytes }
}

/** Joins UTF-8 names into a column. Their total must be under 2 GiB (Arrow's utf8 has int32 offsets). */
export function joinIds(names: Uint8Array[]): IdColumn {
  const offsets = new Int32Array(names.length + 1)
  for (let i = 0; i < names.length; i++) offsets[i + 1] = offsets[i]! + names[i]!.length
  const bytes = new Uint8Array(offsets[names.length]!)
  for (let i = 0; i < names.length; i++) bytes.set(names[i]!, offsets[i])
  return { offsets, bytes }
}

function digits(x: number): number {
  let n = 1
  for (let limit = 10; x >= limit; limit *= 10) n++
  return n
}
