import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { random } from '../../src/random.js'

/** IDX bytes (http://yann.lecun.com/exdb/mnist, "the IDX file format"): unsigned bytes, big-endian sizes. */
export function idxBytes(shape: number[], data: Uint8Array): Buffer {
  const header = Buffer.alloc(4 + 4 * shape.length)
  header.set([0, 0, 8, shape.length])
  shape.forEach((size, axis) => {
    header.writeUInt32BE(size, 4 + 4 * axis)
  })
  return Buffer.concat([header, data])
}

export interface IdxFixture {
  images: string
  pixels: Uint8Array
  labels: Uint8Array
}

/** A pair of IDX files with random pixels and labels 0..classes-1. */
export function writeIdx(
  dir: string,
  options: { rows: number; side: number; classes: number; seed?: number },
): IdxFixture {
  const { rows, side, classes, seed = 0 } = options
  const stream = random('idx', seed)
  const pixels = Uint8Array.from({ length: rows * side * side }, () => stream.uint32() & 255)
  const labels = Uint8Array.from({ length: rows }, () => stream.below(classes))
  const images = join(dir, 'train-images-idx3-ubyte')
  writeFileSync(images, idxBytes([rows, side, side], pixels))
  writeFileSync(join(dir, 'train-labels-idx1-ubyte'), idxBytes([rows], labels))
  return { images, pixels, labels }
}
