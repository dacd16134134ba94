import { createHash } from 'node:crypto'
import type { Content } from '../../src/share/store.js'

const PIECE = 2 ** 20

/** Bytes that depend on their place, none of them kept: 4 bytes count in 32-bit steps. */
function pattern(from: number, to: number, changedAt: number): Buffer {
  const first = from & ~3
  const words = new Uint32Array((to - first + 3) >> 2)
  for (let i = 0; i < words.length; i++) words[i] = Math.imul((first >> 2) + i, 0x9e3779b1)
  const bytes = Buffer.from(words.buffer, from - first, to - from)
  if (changedAt >= from && changedAt < to) bytes[changedAt - from]! ^= 1
  return bytes
}

/** A file of so many bytes, made when it is read. `changedAt`: one byte is another. */
export function patternContent(bytes: number, { changedAt = -1 } = {}): Content {
  const read = async function* (from: number, to: number) {
    for (let at = from; at < to; at += PIECE) yield pattern(at, Math.min(to, at + PIECE), changedAt)
  }
  const hash = createHash('sha256')
  for (let at = 0; at < bytes; at += PIECE) hash.update(pattern(at, Math.min(bytes, at + PIECE), changedAt))
  return { bytes, sha256: hash.digest('hex'), read }
}

export async function bytesOf(pieces: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const all: Uint8Array[] = []
  for await (const piece of pieces) all.push(piece)
  return Buffer.concat(all)
}
