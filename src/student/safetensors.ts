import { FormatError } from '../errors.js'

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
  const fail = (what: string) => new FormatError(`${path}: not a safetensors file of float32: ${what}`)
  if (bytes.length < 8) throw fail(`${bytes.length} bytes`)
  const length = Number(bytes.readBigUInt64LE(0))
  if (length > MAX_HEADER || 8 + length > bytes.length) throw fail(`a header of ${length} bytes in ${bytes.length}`)
  let header: unknown
  try {
    header = JSON.parse(bytes.toString('utf8', 8, 8 + length))
  } catch (error) {
    throw fail((error as Error).message)
  }
  if (!isRecord(header)) throw fail('the header is no object')
  const { __metadata__: metadata = {}, ...entries } = header
  if (!isRecord(metadata) || !Object.values(metadata).every((value) => typeof value === 'string'))
    throw fail('metadata')
  const data = bytes.subarray(8 + length)
  let end = 0
  const tensors = Object.entries(entries).map(([name, entry]): NamedTensor => {
    const { dtype, shape, data_offsets: offsets } = isRecord(entry) ? entry : {}
    if (dtype !== 'F32' || !areCounts(shape) || !areCounts(offsets) || offsets.length !== 2)
      throw fail(`tensor ${name}`)
    const size = shape.reduce((product, n) => product * n, 4)
    if (offsets[0] !== end || offsets[1] !== end + size || offsets[1] > data.length)
      throw fail(`tensor ${name} is out of place`)
    end += size
    // Copied: a Buffer's memory need not be aligned to 4 bytes.
    return { name, shape, values: new Float32Array(new Uint8Array(data.subarray(end - size, end)).buffer) }
  })
  if (end !== data.length) throw fail(`${data.length - end} bytes too many`)
  return { tensors, metadata: metadata as Record<string, string> }
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
const areCounts = (value: unknown): value is number[] =>
  Array.isArray(value) && value.every((n) => Number.isSafeInteger(n) && n >= 0)
