import { FormatError } from '../errors.js'
import type { Bytes } from './bytes.js'
import { isLitterPath } from './litter.js'
import { readWindows } from './window.js'

/** A regular file in a tar archive, its place checked against the archive. */
export interface TarMember {
  name: string
  offset: number
  size: number
}

const RECORD = 512
/** Read at once behind the end. */
const STEP = 2 ** 20
/** Long names and pax headers are held in memory. */
const MAX_HEADER_BYTES = 2 ** 20
/** Types: '0' and NUL are files, '7' contiguous ones; 'L' a GNU long name, 'x' pax fields for the next member, 'g' for all. */
const FILE = new Set(['0', '\0', '7'])
/** Content that lies elsewhere, or not as it is: hard and symbolic links, sparse files of GNU. */
const ELSEWHERE = new Set(['1', '2', 'S'])

/**
 * Walks the members of a tar archive (POSIX.1-2001 pax, ustar, GNU long names and sizes), reading their headers only. Litter is left out. POSIX ends an archive
 * with two blocks of zeros, which every writer writes on closing: without them it was cut short, perhaps between two members.
 * @throws FormatError: damaged header (its checksum), a member that ends behind the archive, a link, no end, members behind the end
 */
export async function* walkTar(bytes: Bytes): AsyncGenerator<TarMember> {
  const { read, done } = await bytes.open()
  try {
    yield* walk(bytes, readWindows(read, bytes.size))
  } finally {
    await done()
  }
}

async function* walk(bytes: Bytes, read: Bytes['read']): AsyncGenerator<TarMember> {
  const { path } = bytes
  const readBuffer = async (position: number, length: number) => {
    const { buffer, byteOffset } = await read(position, length)
    return Buffer.from(buffer, byteOffset, length)
  }
  let [longName, pax, zeros] = [undefined as string | undefined, new Map<string, string>(), 0]
  for (let at = 0; at + RECORD <= bytes.size; ) {
    const header = await readBuffer(at, RECORD)
    if (header.every((byte) => byte === 0)) {
      if (++zeros === 2) return checkRest(bytes, at + RECORD)
      at += RECORD
      continue
    }
    zeros = 0
    checkSum(header, { path, at })
    const type = String.fromCharCode(header[156]!)
    const size = pax.has('size') && FILE.has(type) ? Number(pax.get('size')) : readNumber(header.subarray(124, 136))
    const offset = at + RECORD
    if (!(Number.isSafeInteger(size) && size >= 0) || offset + size > bytes.size)
      throw new FormatError(
        `${path}: truncated, or damaged: the member at byte ${at} has ${size} bytes, the archive ends at ${bytes.size}`,
      )
    if (type === 'L' || type === 'x') {
      if (size > MAX_HEADER_BYTES) throw new FormatError(`${path}: a header of ${size} bytes at byte ${at}`)
      const data = await readBuffer(offset, size)
      if (type === 'L') longName = text(data)
      else pax = readPax(data, { path, at })
    } else {
      const prefix = header.toString('latin1', 257, 262) === 'ustar' ? text(header.subarray(345, 500)) : ''
      const own = text(header.subarray(0, 100))
      const name = pax.get('path') ?? longName ?? (prefix ? `${prefix}/${own}` : own)
      if (!isLitterPath(name)) {
        if (ELSEWHERE.has(type) || [...pax.keys()].some((key) => key.startsWith('GNU.sparse.')))
          throw new FormatError(
            `${path}: '${name}' is a link or a sparse file, without content of its own: write the archive with tar --dereference --hard-dereference, without --sparse`,
          )
        if (FILE.has(type)) yield { name, offset, size }
      }
      if (type !== 'g') [longName, pax] = [undefined, new Map()]
    }
    at = offset + Math.ceil(size / RECORD) * RECORD
  }
  throw new FormatError(
    `${path}: truncated: the archive stops at byte ${bytes.size} without the two blocks of zeros that end it; get the file again, or write it again with a writer that closes it`,
  )
}

/** Behind the end there is padding, or an archive that was appended by cat, whose members would be missing. */
async function checkRest(bytes: Bytes, end: number): Promise<void> {
  for (let at = end; at < bytes.size; at += STEP) {
    const rest = await bytes.read(at, Math.min(STEP, bytes.size - at))
    const found = rest.findIndex((byte) => byte !== 0)
    if (found >= 0)
      throw new FormatError(
        `${bytes.path}: the archive ends at byte ${end}, but there is more at byte ${at + found}: join archives with tar --concatenate, or give them as several files`,
      )
  }
}

/** The sum of the header's bytes, its own field counted as spaces. */
function checkSum(header: Buffer, { path, at }: { path: string; at: number }): void {
  let sum = 8 * 32
  for (let i = 0; i < RECORD; i++) if (i < 148 || i >= 156) sum += header[i]!
  if (sum !== readNumber(header.subarray(148, 156)))
    throw new FormatError(
      `${path}: ${at === 0 ? 'not a tar archive' : `damaged tar header at byte ${at}`}: its checksum does not match`,
    )
}

/** Octal digits, or with the top bit set a big-endian number (GNU). NaN if it is neither. */
function readNumber(field: Buffer): number {
  if (field[0]! & 0x80) return field.subarray(1).reduce((n, byte) => n * 256 + byte, field[0]! & 0x7f)
  const digits = /^[ \0]*([0-7]*)[ \0]*/.exec(field.toString('latin1'))![1]!
  return digits ? Number.parseInt(digits, 8) : Number.NaN
}

/** Fields `<length> <key>=<value>\n`. */
function readPax(data: Buffer, { path, at }: { path: string; at: number }): Map<string, string> {
  const fields = new Map<string, string>()
  for (let start = 0; start < data.length; ) {
    const space = data.indexOf(32, start)
    const length = space < 0 ? Number.NaN : Number(data.toString('latin1', start, space))
    const equals = data.indexOf(61, space)
    if (!(length > 0 && start + length <= data.length && equals > space && equals < start + length))
      throw new FormatError(`${path}: damaged pax header at byte ${at}`)
    fields.set(data.toString('utf8', space + 1, equals), data.toString('utf8', equals + 1, start + length - 1))
    start += length
  }
  return fields
}

function text(field: Buffer): string {
  const end = field.indexOf(0)
  return field.toString('utf8', 0, end < 0 ? field.length : end)
}
