import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { neededLibraries } from '../../src/doctor/elf.js'
import { temporaryFolder } from '../helpers/folder.js'

/** The smallest shared library that needs `names`: a header, two segments, the dynamic section and its strings, which lie at an address of their own. */
function elf(names: string[], { claimed }: { claimed?: bigint } = {}): Buffer {
  const strings = names.map((name) => `${name}\0`).join('')
  const [headers, dynamic] = [64 + 2 * 56, (names.length + 3) * 16]
  const [address, at] = [0x10000n, headers + dynamic]
  const bytes = Buffer.alloc(at + strings.length)
  bytes.write('\x7fELF\x02\x01\x01', 'latin1')
  bytes.writeBigUInt64LE(64n, 32) // e_phoff
  bytes.writeUInt16LE(56, 54)
  bytes.writeUInt16LE(2, 56)
  const segment = (i: number, type: number, offset: number, size: number, to: bigint) => {
    bytes.writeUInt32LE(type, 64 + i * 56)
    bytes.writeBigUInt64LE(BigInt(offset), 64 + i * 56 + 8)
    bytes.writeBigUInt64LE(to, 64 + i * 56 + 16)
    bytes.writeBigUInt64LE(BigInt(size), 64 + i * 56 + 32)
  }
  segment(0, 1, at, strings.length, address)
  segment(1, 2, headers, dynamic, 0x20000n)
  const offsets = names.map((_, i) => names.slice(0, i).join(' ').length + (i > 0 ? 1 : 0))
  const entries: [number, bigint][] = [
    ...offsets.map((offset): [number, bigint] => [1, BigInt(offset)]),
    [5, address],
    [10, claimed ?? BigInt(strings.length)],
  ]
  entries.forEach(([tag, value], i) => {
    bytes.writeBigInt64LE(BigInt(tag), headers + i * 16)
    bytes.writeBigUInt64LE(value, headers + i * 16 + 8)
  })
  bytes.write(strings, at, 'latin1')
  return bytes
}

function written(bytes: Buffer): string {
  const path = join(temporaryFolder(), 'lib.so')
  writeFileSync(path, bytes)
  return path
}

describe('the libraries that a shared library needs', () => {
  it('are its DT_NEEDED entries in order', async () => {
    const names = ['libcublas.so.12', 'libcudnn.so.9', 'libc.so.6']
    expect(await neededLibraries(written(elf(names)))).toEqual(names)
  })

  it.skipIf(process.platform !== 'linux')("are ONNX Runtime's and the system's for the Node addon", async () => {
    const { createRequire } = await import('node:module')
    const root = join(createRequire(import.meta.url).resolve('onnxruntime-node/package.json'), '..')
    const addon = join(root, 'bin/napi-v6/linux', process.arch, 'onnxruntime_binding.node')
    expect(await neededLibraries(addon)).toEqual(expect.arrayContaining(['libonnxruntime.so.1', 'libc.so.6']))
  })

  it.each([
    ['not ELF', () => Buffer.alloc(64, 7), /expected a 64-bit little-endian ELF file/],
    ['cut in its headers', () => elf(['libc.so.6']).subarray(0, 100), /ends in its headers/],
    ['with strings of a terabyte', () => elf(['a'], { claimed: 2n ** 40n }), /lib\.so: a part of 1099511627776 bytes/],
  ])('are refused of a file %s', async (_, bytes, message) => {
    await expect(neededLibraries(written(bytes()))).rejects.toThrow(message)
  })
})
