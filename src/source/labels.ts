import { DecantError } from '../errors.js'
import { ClassFinder, type Found, type LabelClasses } from './class-finder.js'
import { isList } from './table.js'

/** More classes than this are ids, not labels. The cache's own limit is higher: it also holds vocabularies. */
const MAX_CLASSES = 2 ** 20

/**
 * Collects a column of labels: class numbers, also as text, -1 or null for none; or names. Which class they stand for is given (`classes`), else the file says it
 * (`schema`: names in the order of the classes); else integer k is class k, and names are sorted by their bytes.
 */
export class LabelColumn {
  private readonly labels: Int32Array
  private at = 0
  private kind: 'numbers' | 'names' | undefined
  private readonly finder: ClassFinder
  /** Name → its place in the order of appearance, where no names are known. */
  private readonly seen = new Map<string, number>()

  constructor(
    rows: number,
    private readonly options: { classes?: LabelClasses | undefined; schema?: readonly string[] | undefined },
  ) {
    const { classes, schema } = options
    this.labels = new Int32Array(rows).fill(-1)
    this.finder = new ClassFinder(classes ?? (schema ? { names: schema, numbers: [...schema.keys()] } : {}))
  }

  /** Takes the next row's label; or says what is wrong with it, and the row has none. */
  add(cell: unknown): string | undefined {
    const found = this.read(cell)
    if (typeof found === 'number') this.labels[this.at] = found
    this.at++
    return typeof found === 'number' ? undefined : found
  }

  /** int32 labels, -1 = none, and the names of the classes where they are known. */
  finish(): { labels: Int32Array; classes: string[] | undefined } {
    const { classes, schema } = this.options
    if (this.seen.size > 0) {
      const sorted = sortedByBytes(this.seen.keys())
      const index = new Map(sorted.map((name, i) => [name, i]))
      const codes = Array.from(this.seen.keys(), (name) => index.get(name)!)
      return { labels: this.labels.map((code) => (code < 0 ? -1 : codes[code]!)), classes: sorted }
    }
    const names = classes?.names ?? (classes?.numbers ? classes.numbers.map((k) => schema?.[k]) : schema)
    return { labels: this.labels, classes: names?.every((name) => name !== undefined) ? [...names] : undefined }
  }

  /** The label (of a name that is not known, its place in the order of appearance), or what is wrong with it. */
  private read(cell: unknown): number | string {
    if (cell === null || cell === undefined) return -1
    if (cell instanceof DecantError) return cell.message
    const text = typeof cell === 'string'
    if (!text && !['number', 'bigint', 'boolean'].includes(typeof cell))
      return `expected a class number or a name, found ${show(cell)}`
    const found = text ? this.finder.ofText(cell) : this.ofNumber(Number(cell))
    if (found && 'problem' in found) return found.problem
    const kind = found?.kind ?? 'names'
    this.kind ??= kind
    if (this.kind !== kind)
      return `found ${show(cell)}, the labels before are ${this.kind}; say with --classes what stands for each class`
    return found?.label ?? this.placeOf(cell as string)
  }

  /** Where classes are given by name, an integer label means the name that the file gives it. */
  private ofNumber(value: number): Found {
    const { classes, schema } = this.options
    const name = classes?.names && !classes.numbers ? schema?.[value] : undefined
    return name === undefined ? this.finder.ofNumber(value) : this.finder.ofText(name)
  }

  private placeOf(name: string): number | string {
    const place = this.seen.get(name) ?? this.seen.size
    if (place === MAX_CLASSES) return `more than ${MAX_CLASSES} different labels; is this the column of labels?`
    this.seen.set(name, place)
    return place
  }
}

/** The largest label, -1 where no row has one. */
export const topOf = (labels: Int32Array): number => labels.reduce((top, label) => Math.max(top, label), -1)

export const sortedByBytes = (names: Iterable<string>): string[] =>
  Array.from(names, (name) => Buffer.from(name))
    .sort(Buffer.compare)
    .map(String)

/** Letters of a cell in a message. */
const SHOWN = 60

/** A cell in a message, shortened. */
export function show(cell: unknown): string {
  if (cell === null || cell === undefined) return 'nothing'
  if (cell instanceof Uint8Array) return `${cell.byteLength} bytes`
  if (typeof cell === 'bigint' || typeof cell === 'number') return String(cell)
  const text = stringify(ArrayBuffer.isView(cell) && isList(cell) ? Array.prototype.slice.call(cell, 0, SHOWN) : cell)
  return text.length <= SHOWN ? text : `${text.slice(0, SHOWN - 3)}…`
}

function stringify(cell: unknown): string {
  try {
    const text = JSON.stringify(cell, (_, value) => {
      if (typeof value === 'bigint') return Number(value)
      if (typeof value === 'number' && !Number.isFinite(value)) return String(value)
      return ArrayBuffer.isView(value) ? `${value.byteLength} bytes` : value
    })
    return text ?? String(cell)
  } catch {
    return Array.isArray(cell) ? 'a list nested too deeply to show' : 'an object nested too deeply to show' // a RangeError of the stack
  }
}
