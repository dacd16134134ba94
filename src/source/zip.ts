import { Readable } from 'node:stream'
import { crc32, createInflateRaw } from 'node:zlib'
import { FormatError } from '../errors.js'
import { type Bytes, spill } from './bytes.js'

/** A member of a ZIP archive (APPNOTE 4.3.12), its place checked against the file. */
export interface ZipMember {
  name: string
  method: number
  compressed: number
  size: number
  crc: number
  /** Of its local header. */
  header: number
}

const [LOCAL, CENTRAL, END, END64, LOCATOR64] = [0x04034b50, 0x02014b50, 0x06054b50, 0x06064b50, 0x07064b50]
/** 22 bytes and a comment of at most 65,535. */
const MAX_END_BYTES = 22 + 65_535
/** An archive of arrays has tens of members. */
const MAX_DIRECTORY_BYTES = 2 ** 24

/** Bytes that deflate makes of one, at most (https://zlib.net/zlib_tech.html, Maximum Compression Factor). */
const MAX_RATIO = 1032

/** The members of an archive, from its central directory. @throws FormatError */
export async function listZip(bytes: Bytes): Promise<ZipMember[]> {
  const { path, size } = bytes
  const tail = await readBuffer(bytes, Math.max(0, size - MAX_END_BYTES), Math.min(size, MAX_END_BYTES))
  let at = tail.length - 22
  while (at >= 0 && tail.readUInt32LE(at) !== END) at--
  if (at < 0) throw new FormatError(`${path}: not a ZIP archive, or truncated: no end of central directory`)
  let [count, length, offset] = [tail.readUInt16LE(at + 10), tail.readUInt32LE(at + 12), tail.readUInt32LE(at + 16)]
  if (at >= 20 && tail.readUInt32LE(at - 20) === LOCATOR64) {
    const end = await readBuffer(bytes, safe(tail.readBigUInt64LE(at - 12), path), 56)
    if (end.readUInt32LE(0) !== END64) throw new FormatError(`${path}: ZIP64 end of central directory not found`)
    ;[count, length, offset] = [
      safe(end.readBigUInt64LE(32), path),
      safe(end.readBigUInt64LE(40), path),
      safe(end.readBigUInt64LE(48), path),
    ]
  }
  if (length > MAX_DIRECTORY_BYTES || offset + length > size)
    throw new FormatError(`${path}: a central directory of ${length} bytes at ${offset}, the file has ${size}`)
  const directory = await readBuffer(bytes, offset, length)
  const members: ZipMember[] = []
  for (let i = 0, place = 0; i < count; i++) {
    if (place + 46 > length || directory.readUInt32LE(place) !== CENTRAL)
      throw new FormatError(`${path}: damaged central directory: ${i} of ${count} members found`)
    const [name, extra, comment] = [28, 30, 32].map((field) => directory.readUInt16LE(place + field)) as [
      number,
      number,
      number,
    ]
    const next = place + 46 + name + extra + comment
    if (next > length) throw new FormatError(`${path}: damaged central directory: member ${i} ends behind it`)
    members.push(readMember(directory.subarray(place, next), { name, extra, path }))
    place = next
  }
  return members
}

function readMember(entry: Buffer, { name, extra, path }: { name: number; extra: number; path: string }): ZipMember {
  const member: ZipMember = {
    name: entry.toString('utf8', 46, 46 + name),
    method: entry.readUInt16LE(10),
    crc: entry.readUInt32LE(16),
    compressed: entry.readUInt32LE(20),
    size: entry.readUInt32LE(24),
    header: entry.readUInt32LE(42),
  }
  if (entry.readUInt16LE(8) & 1) throw new FormatError(`${path}: '${member.name}' is encrypted`)
  // ZIP64 (4.5.3): the fields that do not fit, in this order
  for (let at = 46 + name; at + 4 <= 46 + name + extra; at += 4 + entry.readUInt16LE(at + 2)) {
    if (entry.readUInt16LE(at) !== 1) continue
    let value = at + 4
    for (const field of ['size', 'compressed', 'header'] as const) {
      if (member[field] !== 0xffffffff) continue
      if (value + 8 > entry.length) throw new FormatError(`${path}: '${member.name}': damaged ZIP64 field`)
      member[field] = safe(entry.readBigUInt64LE(value), path)
      value += 8
    }
  }
  return member
}

/**
 * The bytes of a member: stored ones in their place in the archive, deflated ones decompressed into a temporary file, their length and CRC checked.
 * @throws FormatError
 */
export async function openMember(bytes: Bytes, member: ZipMember): Promise<Bytes> {
  const path = `${bytes.path}: '${member.name}'`
  const local = await readBuffer(bytes, member.header, 30)
  if (local.readUInt32LE(0) !== LOCAL) throw new FormatError(`${path}: no local header at byte ${member.header}`)
  const start = member.header + 30 + local.readUInt16LE(26) + local.readUInt16LE(28)
  if (start + member.compressed > bytes.size)
    throw new FormatError(`${path}: ${member.compressed} bytes at ${start}, the file has ${bytes.size}`)
  if (member.method === 0) {
    if (member.size !== member.compressed)
      throw new FormatError(`${path}: stored ${member.compressed} bytes as ${member.size}`)
    for await (const _ of checked(blocks(bytes, start, member.size), member, path)); // only to check it
    const within =
      (read: Bytes['read']): Bytes['read'] =>
      async (position, length) => {
        if (position + length > member.size)
          throw new FormatError(`${path}: bytes to ${position + length} are asked for, it has ${member.size}`)
        return read(start + position, length)
      }
    return {
      path,
      size: member.size,
      sha256: bytes.sha256,
      read: within(bytes.read),
      async open() {
        const { read, done } = await bytes.open()
        return { read: within(read), done }
      },
      close: async () => {},
    }
  }
  if (member.method !== 8)
    throw new FormatError(`${path}: compressed by method ${member.method}, expected deflate or none`)
  const most = MAX_RATIO * member.compressed
  if (member.size > most)
    throw new FormatError(
      `${path}: ${member.compressed} bytes are said to hold ${member.size}, at most ${most} can be in them`,
    )
  const packed = Readable.from(blocks(bytes, start, member.compressed))
  return spill(path, [packed, createInflateRaw()], (inflated) => checked(inflated, member, path))
}

/** Passes on what is inflated, no more than the directory says. */
async function* checked(
  stream: AsyncIterable<Uint8Array>,
  { size, crc }: ZipMember,
  path: string,
): AsyncGenerator<Uint8Array> {
  let [found, sum] = [0, 0]
  for await (const block of stream) {
    found += block.length
    if (found > size) break
    sum = crc32(block, sum)
    yield block
  }
  if (found !== size)
    throw new FormatError(
      `${path}: inflates to ${found > size ? 'more than ' : ''}${Math.min(found, size)} bytes, expected ${size}`,
    )
  if (sum !== crc) throw new FormatError(`${path}: damaged: its CRC is not what the archive says`)
}

async function* blocks(bytes: Bytes, start: number, length: number): AsyncGenerator<Uint8Array> {
  const step = 2 ** 20
  for (let at = 0; at < length; at += step) yield await bytes.read(start + at, Math.min(step, length - at))
}

const readBuffer = async (bytes: Bytes, position: number, length: number) =>
  Buffer.from((await bytes.read(position, length)).buffer)

function safe(value: bigint, path: string): number {
  if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw new FormatError(`${path}: impossible size ${value} in the archive`)
  return Number(value)
}
