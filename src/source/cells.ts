import { DecantError, FormatError } from '../errors.js'
import { declaredSize, planGeometry, type Size, sizeText } from './geometry.js'
import { show } from './labels.js'
import { decodeImage, decoderOf, IN_FLIGHT, readHeader, transformPixels } from './pixels.js'
import type { Preprocess } from './preprocess.js'
import { readTokens } from './read-tokens.js'
import { RESAMPLER } from './resample/index.js'
import type { Inputs, SourceInput } from './source.js'
import { type ArrayType, isList } from './table.js'
import { channelsOf, recolour } from './transform.js'

/** How the cells of a row become its input. */
export interface CellReader {
  input: SourceInput
  /** As {@link Source.decoder}. */
  decoder: string | undefined
  /** As {@link Source.pad}. */
  pad?: number | undefined
  /** As {@link Source.vocabulary}. */
  vocabulary?: number | undefined
  /** Rows that are worth reading at once, since something outside this thread does the work; else 1. */
  atOnce: number
  /** Writes row's input into `into`. @throws DecantError that says what was expected and found, and not where */
  read(cells: unknown[], into: Inputs): Promise<void> | void
  close?(): void
}

interface ReaderOptions {
  preprocess: Preprocess
  /** The cells of the first row that has some: what is not declared is taken from them. */
  first: unknown[]
  columns: string[]
  arrays: (ArrayType | undefined)[]
  /** Column of the attention mask, whose cell comes behind those of `columns`. */
  mask: string | undefined
}

/**
 * Chooses how rows are read: `text` in the preprocessing makes tokens of text or of lists of ids; arrays of NPY are images (uint8 of rank 2 or 3), tokens (other
 * integers of rank 1) or features; bytes, and objects with `bytes`, are encoded images; numbers and lists of them, of all columns one after another, are features.
 * @throws DecantError: what is found is none of these, or preprocessing does not fit it
 */
export async function chooseReader(options: ReaderOptions): Promise<CellReader> {
  const { preprocess, first, columns, arrays, mask } = options
  const masked = mask !== undefined
  const [cell, array] = [first[0], arrays[0]]
  const single = () => {
    if (columns.length > 1)
      throw new DecantError(`columns ${columns.join(', ')}: only columns of numbers can be joined into one input`)
  }
  if (preprocess.text) {
    single()
    refuseKeys(preprocess, 'tokens', ['text'])
    return readTokens(preprocess.text, { masked })
  }
  if (
    (array?.kind === 'int' && array.shape.length === 1) ||
    (array?.kind === 'uint' && array.size > 1 && array.shape.length === 1)
  ) {
    if (columns.length === 1) {
      refuseKeys(preprocess, 'tokens', [])
      return readTokens({ length: array.shape[0]! }, { masked })
    }
  }
  if (masked)
    throw new DecantError(
      `preprocess: column '${mask}' is a mask of token ids: "text": { "length": … } declares that the column '${columns[0]}' holds some`,
    )
  if (array?.kind === 'uint' && array.size === 1 && (array.shape.length === 2 || array.shape.length === 3)) {
    single()
    return readPixels(array.shape, preprocess)
  }
  if (!array && (cell instanceof Uint8Array || isImageStruct(cell))) {
    single()
    return readImages(cell, preprocess)
  }
  refuseKeys(preprocess, 'features', [])
  return readFeatures(first, { columns, arrays })
}

function refuseKeys(preprocess: Preprocess, kind: string, allowed: string[]): void {
  const key = Object.keys(preprocess).find((key) => key !== 'version' && !allowed.includes(key))
  if (key !== undefined)
    throw new DecantError(
      `preprocess: ${key} belongs to ${key === 'text' ? 'text' : 'images'}, the source gives ${kind}`,
    )
}

/** Images as arrays [H, W] or [H, W, C]. */
function readPixels(shape: number[], preprocess: Preprocess): CellReader {
  refuseText(preprocess)
  const [height, width, from = 1] = shape as [number, number, number?]
  if (from !== 1 && from !== 3)
    throw new DecantError(
      `arrays of ${shape.join('×')} bytes: expected images [H, W], [H, W, 1] or [H, W, 3]; save images [C, H, W] as array.transpose(0, 2, 3, 1), and what is no image as array.astype('float32')`,
    )
  const channels = channelsOf(preprocess, from)
  const { result, ...moves } = planGeometry({ width, height }, preprocess)
  const moved = Object.keys(moves).length > 0
  return {
    input: { kind: 'image', dtype: 'uint8', shape: [result.height, result.width, channels] },
    decoder: moves.resize ? RESAMPLER : undefined,
    atOnce: moved ? IN_FLIGHT : 1,
    async read([cell], into) {
      const pixels = cell as Uint8Array
      if (moved) into.set(await transformPixels(pixels, { width, height, from }, preprocess, channels))
      else into.set(recolour(pixels, from, { channels, preprocess }))
    },
  }
}

/** Encoded images. Without a declared size it is that of the first. */
async function readImages(first: unknown, preprocess: Preprocess): Promise<CellReader> {
  refuseText(preprocess)
  const channels = channelsOf(preprocess, 3)
  const size = declaredSize(preprocess) ?? planGeometry(await readHeader(encoded(first)), preprocess).result
  return {
    input: { kind: 'image', dtype: 'uint8', shape: [size.height, size.width, channels] },
    decoder: decoderOf(preprocess),
    atOnce: IN_FLIGHT,
    async read([cell], into) {
      const { data, ...found } = await decodeImage(encoded(cell), preprocess, channels)
      checkSize(found, size)
      into.set(data)
    },
  }
}

function checkSize(found: Size, size: Size): void {
  if (found.width !== size.width || found.height !== size.height)
    throw new DecantError(`its size is ${sizeText(found)}, expected ${sizeText(size)}; declare resize or crop`)
}

const refuseText = ({ text }: Preprocess) => {
  if (text) throw new DecantError('preprocess: text belongs to text, the source gives images')
}

/** A Hugging Face image: `{bytes, path}`. */
const isImageStruct = (cell: unknown): cell is { bytes: unknown; path?: unknown } =>
  typeof cell === 'object' && cell !== null && 'bytes' in cell

function encoded(cell: unknown): Uint8Array {
  const bytes = isImageStruct(cell) ? cell.bytes : cell
  if (bytes instanceof Uint8Array) return bytes
  const path =
    isImageStruct(cell) && typeof cell.path === 'string'
      ? ` (only the path ${show(cell.path)} of another file, which is not read; embed the image)`
      : ''
  throw new FormatError(`expected the bytes of an image, found ${show(bytes)}${path}`)
}

function readFeatures(
  first: unknown[],
  { columns, arrays }: { columns: string[]; arrays: (ArrayType | undefined)[] },
): CellReader {
  const shapes = first.map((cell, i) => arrays[i]?.shape ?? shapeOf(cell, columns[i]!))
  const sizes = shapes.map((shape) => shape.reduce((a, b) => a * b, 1))
  const total = sizes.reduce((a, b) => a + b, 0)
  const shape = columns.length === 1 && shapes[0]!.length > 0 ? shapes[0]! : [total]
  // arrays come with all their numbers in one list
  const lists = shapes.map((shape, i) => (arrays[i] && shape.length > 0 ? [sizes[i]!] : shape))
  return {
    input: { kind: 'features', dtype: 'float32', shape },
    decoder: undefined,
    atOnce: 1,
    read(cells, into) {
      let at = 0
      for (const [i, cell] of cells.entries())
        at = fill(cell, { shape: lists[i]!, axis: 0, at, into: into as Float32Array, column: columns[i]! })
    },
  }
}

/** As numpy's arrays. */
const MAX_RANK = 32

/** [] for a number, the lengths of nested lists for those. */
function shapeOf(cell: unknown, column: string, depth = 0): number[] {
  if (isList(cell)) {
    if (depth === MAX_RANK) throw new FormatError(`column '${column}': lists in more than ${MAX_RANK} lists`)
    if (cell.length === 0) throw new FormatError(`column '${column}': an empty list`)
    return [cell.length, ...shapeOf(cell[0], column, depth + 1)]
  }
  toNumber(cell, column)
  return []
}

function fill(
  cell: unknown,
  options: { shape: number[]; axis: number; at: number; into: Float32Array; column: string },
): number {
  const { shape, axis, at, into, column } = options
  if (axis === shape.length) {
    into[at] = toNumber(cell, column)
    return at + 1
  }
  if (!isList(cell) || cell.length !== shape[axis])
    throw new FormatError(
      `column '${column}': expected ${shape[axis]} values, found ${isList(cell) ? cell.length : show(cell)}`,
    )
  let next = at
  for (let i = 0; i < cell.length; i++) next = fill(cell[i], { ...options, axis: axis + 1, at: next })
  return next
}

function toNumber(cell: unknown, column: string): number {
  if (typeof cell === 'number') return cell
  if (typeof cell === 'bigint' || typeof cell === 'boolean') return Number(cell)
  if (typeof cell === 'string' && cell.trim() !== '' && !Number.isNaN(Number(cell))) return Number(cell)
  const hint = typeof cell === 'string' ? '; text becomes tokens where the preprocessing declares `text`' : ''
  throw new FormatError(`column '${column}': expected a number, found ${show(cell)}${hint}`)
}
