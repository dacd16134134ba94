import { FormatError } from '../errors.js'
import type { Bytes } from './bytes.js'
import { BLOCK_BYTES, type Block, CELL_BYTES, type Table } from './table.js'
import { walkTar } from './tar.js'
import { readWindows } from './window.js'

/** The column of a sample's name. */
export const KEY = '__key__'
/** Extensions of one archive: a sample has a handful of parts. */
const MAX_COLUMNS = 1000
/** Cells of these are images, bytes as they are. */
const IMAGES = ['jpg', 'jpeg', 'png', 'webp', 'tif', 'tiff', 'gif', 'avif']
const MAX_CELL_BYTES = 2 ** 28

interface Sample {
  key: string
  /** Offset and size by place in `columns`; -1 = the sample has no such member. */
  members: [offset: number, size: number][]
}

/**
 * A WebDataset archive: members in a row with the same path up to the first '.' of their base name are a sample; what comes after it is the column. `cls` is a number,
 * `json` an object, `txt` text, everything else bytes. An index of the members is held in memory, their content is read a block of samples at a time.
 */
export async function openWebDataset(bytes: Bytes): Promise<Table> {
  const { path } = bytes
  const columns: string[] = []
  const samples: Sample[] = []
  const places = new Map<string, number>()
  const keys = new Set<string>()
  for await (const { name, offset, size } of walkTar(bytes)) {
    const slash = name.lastIndexOf('/') + 1
    const dot = name.indexOf('.', slash)
    if (dot < 0 || dot === slash) continue // hidden files (macOS leaves ._ ones), and those without an extension
    const [key, column] = [name.slice(0, dot).replace(/^\.\//, ''), name.slice(dot + 1)]
    const place = places.get(column) ?? columns.push(column) - 1
    places.set(column, place)
    if (place >= MAX_COLUMNS)
      throw new FormatError(`${path}: '${key}.${column}': more than ${MAX_COLUMNS} different extensions`)
    let sample = samples.at(-1)
    if (sample?.key !== key) {
      if (keys.has(key)) throw new FormatError(`${path}: the members of sample '${key}' are not together`)
      keys.add(key)
      sample = { key, members: [] }
      samples.push(sample)
    }
    if (sample.members[place]) throw new FormatError(`${path}: sample '${key}' has '${column}' twice`)
    sample.members[place] = [offset, size]
  }
  if (samples.length === 0)
    throw new FormatError(`${path}: no samples in the archive: expected members like 000001.jpg and 000001.cls`)

  const cell = async (sample: Sample, column: string, read: Bytes['read']): Promise<unknown> => {
    if (column === KEY) return sample.key
    const member = sample.members[places.get(column) ?? -1]
    if (!member) return null
    const name = `'${sample.key}.${column}'`
    if (member[1] > MAX_CELL_BYTES)
      return new FormatError(`${name} has ${member[1]} bytes, at most ${MAX_CELL_BYTES} are read`)
    return decode(await read(...member), { column, name })
  }
  const cells = async (some: Sample[], wanted: string[]): Promise<Block> => {
    const columns: unknown[][] = wanted.map(() => [])
    const { read, done } = await bytes.open()
    try {
      const near = readWindows(read, bytes.size)
      for (const sample of some)
        for (const [i, column] of wanted.entries()) columns[i]!.push(await cell(sample, column, near))
    } finally {
      await done()
    }
    return { columns }
  }
  const starts = startsOf(samples)
  return {
    path,
    columns: [KEY, ...columns],
    starts,
    sha256: bytes.sha256,
    size: bytes.size,
    blockBytes(index, wanted) {
      const held = wanted.map((column) => places.get(column)).filter((place) => place !== undefined)
      let sum = 0
      for (let i = starts[index]!; i < starts[index + 1]!; i++)
        for (const place of held) sum += samples[i]!.members[place]?.[1] ?? 0
      return sum + CELL_BYTES * wanted.length * (starts[index + 1]! - starts[index]!)
    },
    block: (index, wanted) => cells(samples.slice(starts[index], starts[index + 1]), wanted),
    pick: (_, rows, wanted) =>
      cells(
        rows.map((row) => samples[row]!),
        wanted,
      ),
    close: () => bytes.close(),
  }
}

/** The columns that are taken where none are named: the image, and the class. */
export function usualColumns(columns: string[]): { input: string | undefined; label: string | undefined } {
  return {
    input: columns.find((column) => IMAGES.includes(column.toLowerCase())),
    label: columns.includes('cls') ? 'cls' : undefined,
  }
}

/** The value of a member, or why it has none. */
function decode(data: Uint8Array, { column, name }: { column: string; name: string }): unknown {
  if (!['cls', 'json', 'txt'].includes(column)) return data.length < data.buffer.byteLength ? data.slice() : data
  const text = Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString('utf8')
  if (column === 'txt') return text
  if (column === 'cls') {
    const value = text.trim()
    if (/^-?\d{1,10}$/.test(value)) return Number(value)
    return new FormatError(`${name}: expected a class number, found ${JSON.stringify(value.slice(0, 40))}`)
  }
  try {
    return JSON.parse(text)
  } catch (error) {
    return new FormatError(`${name}: not JSON: ${(error as Error).message.split('\n')[0]}`)
  }
}

/** Blocks of samples of together about 8 MiB. */
function startsOf(samples: Sample[]): number[] {
  const starts = [0]
  let bytes = 0
  for (const [i, { members }] of samples.entries()) {
    for (const member of members) bytes += member?.[1] ?? 0
    if (bytes < BLOCK_BYTES && i - starts.at(-1)! < 4096) continue
    starts.push(i + 1)
    bytes = 0
  }
  if (starts.at(-1) !== samples.length) starts.push(samples.length)
  return starts
}
