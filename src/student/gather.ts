/** Copies rows of a table of `width` columns into `into`, one after another. */
export function gather<A extends Float32Array | Uint16Array | Uint8Array | Int32Array>(
  table: A,
  options: { width: number; rows: Uint32Array; into: A },
): void {
  const { width, rows, into } = options
  for (let i = 0; i < rows.length; i++) {
    const [from, to] = [rows[i]! * width, i * width]
    if (width > NARROW) into.set(table.subarray(from, from + width), to)
    else for (let j = 0; j < width; j++) into[to + j] = table[from + j]!
  }
}

/** Up to so many elements, a loop is faster than a view and its copy. */
const NARROW = 32
