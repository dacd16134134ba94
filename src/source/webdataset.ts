import { FormatError } from '../errors.js'
import type { Bytes } from './bytes.js'
import { numberIn } from './class-finder.js'
import { decodeNpy } from './npy.js'
import { type ArrayType, BLOCK_BYTES, type Block, CELL_BYTES, type Table } from './table.js'
import { walkTar } from './tar.js'
import { readWindows } from './window.js'

/** The column of a sample's name. */
export const KEY = '__key__'
/** Extensions of one archive: a sample has a handful of parts. */
const MAX_COLUMNS = 1000
/** Cells of these are images, bytes as they are. */
const IMAGES = ['jpg', 'jpeg', 'png', 'webp', 'tif', 'tiff', 'gif', 'avif']
const MAX_CELL_BYTES = 2 ** 28
/** Arrays looked at for one that can be read. */
const LOOKED_AT = 1000

interface Sample {
  key: string
  /** Offset and size by place in `columns`; -1 = the sample has no such member. */
  members: [offset: number, size: number][]
}

/**
 * A WebDataset archive: members in a row with the same path up to the first '.' of their base name are a sample; what comes after it, in small letters, is the column.
 * By their last extension `cls` is a class number or a name, `json` an object, `txt` text, `npy` an array, everything else bytes. Columns may be named together,
 * `jpg,png,webp`: each sample's is the first of them that it has. An index of the members is held in memory, their content is read a block of samples at a time.
 * @param names whether classes are given by name: without them text in `cls` is no label
 */
export async function openWebDataset(bytes: Bytes, { names }: { names: boolean }): Promise<Table> {
  const { path } = bytes
  const columns: string[] = []
  const samples: Sample[] = []
  const places = new Map<string, number>()
  const keys = new Set<string>()
  for await (const { name, offset, size } of walkTar(bytes)) {
    const slash = name.lastIndexOf('/') + 1
    const dot = name.indexOf('.', slash)
    if (dot < 0) continue
    const [key, column] = [name.slice(0, dot).replace(/^\.\//, ''), name.slice(dot + 1).toLowerCase()]
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

  /** The columns that a name stands for, of those that are here. */
  const partsOf = (column: string) => column.split(',').filter((part) => places.has(part))
  /** The one that a sample has. */
  const partIn = ({ members }: Sample, column: string) => partsOf(column).find((part) => members[places.get(part)!])

  const arrays = new Map<string, ArrayType>()
  for (const column of columns.filter((column) => kindOf(column) === 'npy'))
    for (const sample of samples.filter((sample) => partIn(sample, column)).slice(0, LOOKED_AT)) {
      const found = await member(sample, column, bytes.read)
      const array = found instanceof FormatError ? found : decodeArray(found.data, found.name)
      if (array instanceof FormatError) continue
      arrays.set(column, array.type)
      break
    }

  async function member(sample: Sample, column: string, read: Bytes['read']) {
    const [offset, size] = sample.members[places.get(column)!]!
    const name = `'${sample.key}.${column}'`
    if (size > MAX_CELL_BYTES) return new FormatError(`${name} has ${size} bytes, at most ${MAX_CELL_BYTES} are read`)
    return { name, data: await read(offset, size) }
  }
  async function cell(sample: Sample, column: string, read: Bytes['read']): Promise<unknown> {
    if (column === KEY) return sample.key
    const part = partIn(sample, column)
    if (part === undefined) return null
    const found = await member(sample, part, read)
    return found instanceof FormatError
      ? found
      : decode(found.data, { ...found, kind: kindOf(part), array: arrays.get(part), names })
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
      const held = wanted.flatMap(partsOf).map((part) => places.get(part)!)
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
    find: (name) => (partsOf(name.toLowerCase()).length > 0 ? name.toLowerCase() : undefined),
    arrayOf: (column) => arrays.get(column),
    usual: { input: usualInput(columns, samples), label: columns.find((column) => column === 'cls') },
    close: () => bytes.close(),
  }
}

/** The column that is taken where none is named: images, of several extensions where no sample has two of them. */
function usualInput(columns: string[], samples: Sample[]): string | undefined {
  const images = IMAGES.map((name) => columns.indexOf(name)).filter((place) => place >= 0)
  const several = samples.some(({ members }) => images.filter((place) => members[place]).length > 1)
  return images.length > 0 && !several ? images.map((place) => columns[place]).join(',') : undefined
}

const kindOf = (column: string) => column.slice(column.lastIndexOf('.') + 1)

/** The value of a member, or why it has none. */
function decode(
  data: Uint8Array,
  { kind, name, array, names }: { kind: string; name: string; array: ArrayType | undefined; names: boolean },
): unknown {
  if (kind === 'npy') {
    const found = decodeArray(data, name)
    if (found instanceof FormatError) return found
    if (!array || textOf(found.type) === textOf(array)) return found.values
    return new FormatError(`${name}: an array ${textOf(found.type)}, that of the first sample is ${textOf(array)}`)
  }
  if (!['cls', 'json', 'txt'].includes(kind)) return data.length < data.buffer.byteLength ? data.slice() : data
  const text = Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString('utf8')
  if (kind === 'txt') return text
  if (kind === 'cls') {
    const value = text.trim()
    if (names || numberIn(value) !== undefined) return value
    return new FormatError(
      `${name}: expected a class number, found ${JSON.stringify(value.slice(0, 40))}; names need --classes`,
    )
  }
  try {
    return JSON.parse(text)
  } catch (error) {
    return new FormatError(`${name}: not JSON: ${(error as Error).message.split('\n')[0]}`)
  }
}

function decodeArray(data: Uint8Array, name: string): ReturnType<typeof decodeNpy> | FormatError {
  try {
    return decodeNpy(data, name)
  } catch (error) {
    if (error instanceof FormatError) return error
    throw error
  }
}

const textOf = ({ kind, size, shape }: ArrayType) => `${kind}${8 * size} [${shape.join(', ')}]`

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
