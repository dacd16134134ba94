import type { FileHandle } from 'node:fs/promises'
import { FormatError } from '../errors.js'
import { parseJson } from '../json.js'

/** A float32 tensor by name. */
export interface NamedTensor {
  name: string
  shape: number[]
  values: Float32Array
}

/** A header beyond this is no header: 100 MB is the limit of the format's own reader. */
const MAX_HEADER = 100_000_000

/**
 * Encodes float32 tensors as safetensors: u64 length of the header, header (JSON: name → dtype, shape, data_offsets), bytes.
 * `metadata` is the header's `__metadata__`.
 */
export function encodeSafetensors(tensors: NamedTensor[], metadata: Record<string, string>): Buffer {
  const header: Record<string, unknown> = { __metadata__: metadata }
  let end = 0
  for (const { name, shape, values } of tensors) {
    header[name] = { dtype: 'F32', shape, data_offsets: [end, end + values.byteLength] }
    end += values.byteLength
  }
  const text = Buffer.from(JSON.stringify(header))
  const padding = Buffer.alloc(-text.length & 7, ' ') // the data begin at a multiple of 8
  const length = Buffer.alloc(8)
  length.writeBigUInt64LE(BigInt(text.length + padding.length))
  const data = tensors.map(({ values }) => Buffer.from(values.buffer, values.byteOffset, values.byteLength))
  return Buffer.concat([length, text, padding, ...data])
}

/** Decodes what {@link encodeSafetensors} wrote. @throws FormatError naming `path` where the bytes are anything else */
export function decodeSafetensors(
  bytes: Buffer,
  path: string,
): { tensors: NamedTensor[]; metadata: Record<string, string> } {
  const length = headerLength(bytes, bytes.length, path)
  const { metadata, entries } = parseHeader(bytes.toString('utf8', 8, 8 + length), path)
  const data = bytes.subarray(8 + length)
  let end = 0
  const tensors = Object.entries(entries).map(([name, entry]): NamedTensor => {
    const { dtype, shape, data_offsets: offsets } = isRecord(entry) ? entry : {}
    if (dtype !== 'F32' || !areCounts(shape) || !areCounts(offsets) || offsets.length !== 2)
      throw wrong(path, `tensor ${name}`)
    const size = shape.reduce((product, n) => product * n, 4)
    if (offsets[0] !== end || offsets[1] !== end + size || offsets[1] > data.length)
      throw wrong(path, `tensor ${name} is out of place`)
    end += size
    // Copied: a Buffer's memory need not be aligned to 4 bytes.
    return { name, shape, values: new Float32Array(new Uint8Array(data.subarray(end - size, end)).buffer) }
  })
  if (end !== data.length) throw wrong(path, `${data.length - end} bytes too many`)
  return { tensors, metadata }
}

/** The header's `__metadata__` alone: the tensors are not read. @throws FormatError naming `path` */
export async function readMetadata(file: FileHandle, path: string): Promise<Record<string, string>> {
  const { size } = await file.stat()
  const read = async (from: number, bytes: number) =>
    (await file.read(Buffer.alloc(Math.max(0, Math.min(bytes, size - from))), 0, undefined, from)).buffer
  const length = headerLength(await read(0, 8), size, path)
  return parseHeader((await read(8, length)).toString('utf8'), path).metadata
}

const wrong = (path: string, what: string) => new FormatError(`${path}: not a safetensors file of float32: ${what}`)

function headerLength(start: Buffer, size: number, path: string): number {
  if (start.length < 8) throw wrong(path, `${start.length} bytes`)
  const length = Number(start.readBigUInt64LE(0))
  if (length > MAX_HEADER || 8 + length > size) throw wrong(path, `a header of ${length} bytes in ${size}`)
  return length
}

function parseHeader(
  text: string,
  path: string,
): { metadata: Record<string, string>; entries: Record<string, unknown> } {
  const header = parseJson(text, `${path}: not a safetensors file of float32`)
  if (!isRecord(header)) throw wrong(path, 'the header is no object')
  const { __metadata__: metadata = {}, ...entries } = header
  if (!isRecord(metadata) || !Object.values(metadata).every((value) => typeof value === 'string'))
    throw wrong(path, 'metadata')
  return { metadata: metadata as Record<string, string>, entries }
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
const areCounts = (value: unknown): value is number[] =>
  Array.isArray(value) && value.every((n) => Number.isSafeInteger(n) && n >= 0)
