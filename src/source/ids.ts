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

/** `n` decimal numbers, `at(i)` in 0..2³²-1, written digit by digit: no JS string per row. A number that follows the one before is counted up, not divided. */
export function decimalIds(n: number, at: (i: number) => number): IdColumn {
  const offsets = new Int32Array(n + 1)
  const bytes = new Uint8Array(n * DIGITS)
  const digits = new Uint8Array(DIGITS).fill(ZERO) // the number, right-aligned
  let first = DIGITS - 1 // its first digit
  let before = Number.NaN
  let size = 0
  for (let i = 0; i < n; i++) {
    const number = at(i)
    let place = DIGITS - 1
    if (number === before + 1) {
      while (digits[place] === NINE) digits[place--] = ZERO
      digits[place]!++
      first = Math.min(first, place)
    } else {
      digits.fill(ZERO)
      first = DIGITS
      for (let rest = number; rest > 0 || first === DIGITS; rest = Math.floor(rest / 10))
        digits[--first] = ZERO + (rest % 10)
    }
    before = number
    for (let digit = first; digit < DIGITS; digit++) bytes[size++] = digits[digit]!
    offsets[i + 1] = size
  }
  return { offsets, bytes: bytes.slice(0, size) }
}

/** Of 2³²-1. */
const DIGITS = 10
const [ZERO, NINE] = [48, 57]

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
