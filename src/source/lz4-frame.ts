/** Arrow's buffers may be LZ4 frames (https://github.com/lz4/lz4/blob/dev/doc/lz4_Frame_format.md), which no library of ours reads. Checksums are not checked. */

const MAGIC = 0x184d2204
/** A byte of LZ4 stands for at most 255: what a frame can decode to is bounded by its length. */
const RATIO = 255

/** Decodes one frame, of at most `most` bytes where that is known. @throws Error: not a frame, truncated, a match before the start */
export function decodeLz4Frame(frame: Uint8Array, most = frame.length * RATIO): Uint8Array {
  const view = new DataView(frame.buffer, frame.byteOffset, frame.byteLength)
  if (view.getUint32(0, true) !== MAGIC) throw new Error('not an LZ4 frame')
  const flags = view.getUint8(4)
  if (flags >> 6 !== 1) throw new Error(`LZ4 frame of version ${flags >> 6}, expected 1`)
  const [blockChecksum, hasSize, hasDictionary] = [flags & 16, flags & 8, flags & 1]
  let at = 7 + (hasSize ? 8 : 0) + (hasDictionary ? 4 : 0)
  const out = new Output(
    hasSize ? Number(view.getBigUint64(6, true)) : frame.length * 4,
    Math.min(most, frame.length * RATIO),
  )
  for (let size = view.getUint32(at, true); size !== 0; size = view.getUint32(at, true)) {
    at += 4
    const length = size & 0x7fffffff
    if (at + length > frame.length) throw new Error('LZ4 frame truncated')
    const block = frame.subarray(at, at + length)
    if (size >>> 31) out.append(block)
    else decodeBlock(block, out)
    at += length + (blockChecksum ? 4 : 0)
  }
  return out.bytes()
}

/** Decodes a block that is known to hold `length` bytes. @throws Error: truncated, a match before the start */
export function decodeLz4Block(block: Uint8Array, length: number): Uint8Array {
  const out = new Output(length, length)
  decodeBlock(block, out)
  return out.bytes()
}

/** Blocks may refer to what came before them in the frame: all go into one output. */
function decodeBlock(block: Uint8Array, out: Output): void {
  let at = 0
  const byte = () => {
    if (at >= block.length) throw new Error('LZ4 block truncated')
    return block[at++]!
  }
  const extended = (length: number) => {
    if (length === 15) {
      let next = 255
      while (next === 255) length += next = byte()
    }
    return length
  }
  while (at < block.length) {
    const token = byte()
    const literals = extended(token >> 4)
    if (at + literals > block.length) throw new Error('LZ4 block truncated')
    out.append(block.subarray(at, at + literals))
    at += literals
    if (at === block.length) return // the last sequence has no match
    const offset = byte() | (byte() << 8)
    out.repeat(offset, extended(token & 15) + 4)
  }
}

class Output {
  private data: Uint8Array
  private length = 0
  constructor(
    expected: number,
    private readonly most: number,
  ) {
    this.data = new Uint8Array(Math.min(expected, most))
  }
  append(bytes: Uint8Array): void {
    this.reserve(bytes.length)
    this.data.set(bytes, this.length)
    this.length += bytes.length
  }
  repeat(offset: number, length: number): void {
    if (offset === 0 || offset > this.length) throw new Error('LZ4 match before the start')
    this.reserve(length)
    const { data } = this
    for (let i = 0, to = this.length; i < length; i++, to++) data[to] = data[to - offset]!
    this.length += length
  }
  bytes(): Uint8Array {
    return this.data.subarray(0, this.length)
  }
  private reserve(more: number): void {
    const needed = this.length + more
    if (needed <= this.data.length) return
    if (needed > this.most) throw new Error('LZ4 frame longer than it can be')
    const grown = new Uint8Array(Math.min(this.most, Math.max(needed, this.data.length * 2)))
    grown.set(this.data)
    this.data = grown
  }
}
