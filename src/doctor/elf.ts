import { type FileHandle, open } from 'node:fs/promises'
import { FormatError } from '../errors.js'

/** Numbers of the ELF specification (64 bit, little-endian). */
const PT_LOAD = 1
const PT_DYNAMIC = 2
const DT_NEEDED = 1n
const DT_STRTAB = 5n
const DT_STRSZ = 10n

/** Room for any real library's headers and names, and a bound on what a broken file makes us read. */
const MAX_PART = 2 ** 20

interface Segment {
  type: number
  offset: bigint
  address: bigint
  size: bigint
}

/** The sonames that a 64-bit little-endian shared library needs, in its order (DT_NEEDED). Reads its headers alone. */
export async function neededLibraries(path: string): Promise<string[]> {
  const file = await open(path, 'r')
  try {
    const header = await part(file, path, 0n, 64n)
    if (header.readUInt32BE(0) !== 0x7f454c46 || header[4] !== 2 || header[5] !== 1) {
      throw new FormatError(`${path}: expected a 64-bit little-endian ELF file`)
    }
    const [start, entry, count] = [header.readBigUInt64LE(32), header.readUInt16LE(54), header.readUInt16LE(56)]
    const table = await part(file, path, start, BigInt(entry * count))
    const segments = Array.from({ length: count }, (_, i) => segmentAt(table, i * entry))
    const dynamic = segments.find(({ type }) => type === PT_DYNAMIC)
    if (!dynamic) return []

    const entries = entriesOf(await part(file, path, dynamic.offset, dynamic.size))
    const valueAt = (tag: bigint) => entries.find((one) => one.tag === tag)?.value
    const address = valueAt(DT_STRTAB)
    const loaded = segments.find(
      (one) =>
        one.type === PT_LOAD && address !== undefined && address >= one.address && address < one.address + one.size,
    )
    if (address === undefined || !loaded) throw new FormatError(`${path}: its dynamic section names no strings`)
    const names = await part(file, path, address - loaded.address + loaded.offset, valueAt(DT_STRSZ) ?? 0n)
    return entries
      .filter(({ tag }) => tag === DT_NEEDED)
      .map(({ value }) => names.toString('latin1', Number(value), names.indexOf(0, Number(value))))
  } finally {
    await file.close()
  }
}

const segmentAt = (table: Buffer, at: number): Segment => ({
  type: table.readUInt32LE(at),
  offset: table.readBigUInt64LE(at + 8),
  address: table.readBigUInt64LE(at + 16),
  size: table.readBigUInt64LE(at + 32),
})

const entriesOf = (dynamic: Buffer) =>
  Array.from({ length: Math.floor(dynamic.length / 16) }, (_, i) => ({
    tag: dynamic.readBigInt64LE(16 * i),
    value: dynamic.readBigUInt64LE(16 * i + 8),
  }))

async function part(file: FileHandle, path: string, offset: bigint, size: bigint): Promise<Buffer> {
  if (size > MAX_PART) throw new FormatError(`${path}: a part of ${size} bytes in an ELF header`)
  const bytes = Buffer.alloc(Number(size))
  const { bytesRead } = await file.read(bytes, 0, bytes.length, Number(offset))
  if (bytesRead < bytes.length) throw new FormatError(`${path}: ends in its headers`)
  return bytes
}
