import { DecantError, FormatError } from '../errors.js'

/** More classes than this are ids, not labels. The cache's own limit is higher: it also holds vocabularies. */
const MAX_CLASSES = 2 ** 20
const MAX_LABEL = 2 ** 31 - 1

/**
 * Collects a column of labels: integers (text of digits counts where all of it is), -1 or null for none, or names, whose classes are sorted by their bytes unless
 * `names` says them.
 */
export class LabelColumn {
  private readonly labels: Int32Array
  private at = 0
  private kind: 'numbers' | 'names' | undefined
  /** Name → its place in the order of appearance. */
  private readonly seen = new Map<string, number>()

  constructor(
    rows: number,
    private readonly options: { names: string[] | undefined; text: 'digits are numbers' | 'names' },
  ) {
    this.labels = new Int32Array(rows).fill(-1)
  }

  /** Takes the next row's label; or says what is wrong with it, and the row has none. */
  add(cell: unknown): string | undefined {
    const label = this.read(cell)
    if (typeof label === 'number') this.labels[this.at] = label
    this.at++
    return typeof label === 'number' ? undefined : label
  }

  /** int32 labels, -1 = none, and the names of classes where they are known. @throws FormatError: a name that is not one of `names` */
  finish(where: string): { labels: Int32Array; classes: string[] | undefined } {
    const { names } = this.options
    if (this.kind !== 'names') return { labels: this.labels, classes: names }
    const found = [...this.seen.keys()]
    if (this.options.text === 'digits are numbers' && found.every((name) => /^-?\d{1,9}$/.test(name))) {
      const below = found.find((name) => Number(name) < -1)
      if (below !== undefined)
        throw new FormatError(
          `${where}: expected class numbers, -1 or nothing where there is none, or names; found '${below}'`,
        )
      return { labels: this.recode(found.map(Number)), classes: names }
    }
    const classes =
      names ??
      found
        .map((name) => Buffer.from(name))
        .sort(Buffer.compare)
        .map(String)
    const index = new Map(classes.map((name, i) => [name, i]))
    const codes = found.map((name) => {
      const code = index.get(name)
      if (code === undefined)
        throw new FormatError(`${where}: '${name}' is none of the ${classes.length} class names of the schema`)
      return code
    })
    return { labels: this.recode(codes), classes }
  }

  private recode(codes: number[]): Int32Array {
    return this.labels.map((code) => (code < 0 ? -1 : Math.max(-1, codes[code]!)))
  }

  /** The label (of a name, its place in the order of appearance), or what is wrong with it. */
  private read(cell: unknown): number | string {
    if (cell === null || cell === undefined) return -1
    if (cell instanceof DecantError) return cell.message
    const value = typeof cell === 'bigint' || typeof cell === 'boolean' ? Number(cell) : cell
    const kind = typeof value === 'string' ? 'names' : 'numbers'
    this.kind ??= kind
    if (this.kind !== kind) return `found ${show(cell)}, the labels before are ${this.kind}`
    if (typeof value === 'string') {
      const known = this.seen.get(value)
      if (known !== undefined) return known
      if (this.seen.size === MAX_CLASSES)
        return `more than ${MAX_CLASSES} different labels; is this the column of labels?`
      this.seen.set(value, this.seen.size)
      return this.seen.size - 1
    }
    if (typeof value === 'number' && Number.isInteger(value) && value >= -1 && value <= MAX_LABEL) return value
    return `expected a class number or a name, found ${show(cell)}`
  }
}

/** A cell in a message, shortened. */
export function show(cell: unknown): string {
  if (cell === null || cell === undefined) return 'nothing'
  if (ArrayBuffer.isView(cell)) return `${cell.byteLength} bytes`
  if (typeof cell === 'bigint') return String(cell)
  const text = stringify(cell)
  return text.length <= 60 ? text : `${text.slice(0, 57)}…`
}

function stringify(cell: unknown): string {
  try {
    const text = JSON.stringify(cell, (_, value) =>
      typeof value === 'bigint' ? Number(value) : ArrayBuffer.isView(value) ? `${value.byteLength} bytes` : value,
    )
    return text ?? String(cell)
  } catch {
    return Array.isArray(cell) ? 'a list nested too deeply to show' : 'an object nested too deeply to show' // a RangeError of the stack
  }
}
