import type { Random } from '../../src/random.js'

/** Numbers at which lengths, counts and places go wrong. */
const CORNERS = [0, 1, 0x7f, 0xff, 0x7fff, 0xffff, 0x7fffffff, 0x80000000, 0xfffffffe, 0xffffffff]
const VALUES = [
  '-1',
  '0',
  '1e9',
  '4294967296',
  '9007199254740993',
  '1e308',
  '1e999',
  'null',
  '""',
  '[]',
  '{}',
  '"a"',
  '[[[]]]',
]

/** The bytes as a failing disk, a broken program or somebody who means harm leaves them. */
export function mutate(bytes: Buffer, random: Random): Buffer {
  const ways = [
    flip,
    cut,
    setNumber,
    move,
    ...(bytes.includes(0) ? [setNumber, setWide] : [setValue, setValue, setValue]),
  ]
  return ways[random.below(ways.length)]!(Buffer.from(bytes), random)
}

function flip(bytes: Buffer, { below }: Random): Buffer {
  for (let i = below(4); i >= 0; i--) bytes[below(bytes.length)]! ^= 1 << below(8)
  return bytes
}

const cut = (bytes: Buffer, { below }: Random) => bytes.subarray(0, below(bytes.length))

/** A number of 1, 2 or 4 bytes becomes one from the corners. */
function setNumber(bytes: Buffer, { below }: Random): Buffer {
  const value = CORNERS[below(CORNERS.length)]!
  const size = [1, 2, 4][below(3)]!
  if (bytes.length < size) return bytes
  const at = below(bytes.length - size + 1)
  const wrapped = value % 2 ** (8 * size)
  if (below(2) === 0) bytes.writeUIntLE(wrapped, at, size)
  else bytes.writeUIntBE(wrapped, at, size)
  return bytes
}

/** A number of 8 bytes becomes one near a power of two. */
function setWide(bytes: Buffer, { below }: Random): Buffer {
  if (bytes.length >= 8)
    bytes.writeBigUInt64LE(BigInt.asUintN(64, (1n << BigInt(below(65))) - BigInt(below(2))), below(bytes.length - 7))
  return bytes
}

/** Some of the bytes come a second time, or in place of others. */
function move(bytes: Buffer, { below }: Random): Buffer {
  const [from, at] = [below(bytes.length), below(bytes.length)]
  const piece = bytes.subarray(from, from + 1 + below(64))
  return Buffer.concat([bytes.subarray(0, at), piece, bytes.subarray(at + (below(2) === 0 ? 0 : piece.length))])
}

/** In text a number, or a value of JSON, becomes another one. */
function setValue(bytes: Buffer, { below }: Random): Buffer {
  const text = bytes.toString('latin1')
  const found = [...text.matchAll(/-?\d[\d.e+-]*|"[^"]*"(?!\s*:)|true|false|null/g)]
  if (found.length === 0) return bytes
  const { index, 0: old } = found[below(found.length)]!
  return Buffer.from(text.slice(0, index) + VALUES[below(VALUES.length)]! + text.slice(index + old.length), 'latin1')
}
