import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { FormatError } from '../../src/errors.js'
import { decodeSafetensors, encodeSafetensors, type NamedTensor } from '../../src/student/safetensors.js'

const tensor = fc
  .tuple(fc.string({ minLength: 1, maxLength: 8 }), fc.array(fc.integer({ min: 0, max: 3 }), { maxLength: 3 }))
  .filter(([name]) => name !== '__metadata__' && name !== '__proto__' && !/^\d+$/.test(name))
  .chain(([name, shape]) => {
    const size = shape.reduce((a, b) => a * b, 1)
    return fc
      .array(fc.float(), { minLength: size, maxLength: size })
      .map((values): NamedTensor => ({ name, shape, values: Float32Array.from(values) }))
  })
const tensors = fc.uniqueArray(tensor, { selector: ({ name }) => name, maxLength: 4 })

describe('safetensors', () => {
  it('gives back what was encoded, bit for bit', () => {
    fc.assert(
      fc.property(tensors, fc.string(), (given, text) => {
        const decoded = decodeSafetensors(encodeSafetensors(given, { text }), 'x')
        expect(decoded).toEqual({ tensors: given, metadata: { text } })
      }),
    )
  })

  it('follows the format: length, JSON header, data that begin at a multiple of 8', () => {
    const bytes = encodeSafetensors([{ name: 'w', shape: [2], values: Float32Array.of(1, -2) }], { k: 'v' })
    const length = Number(bytes.readBigUInt64LE(0))
    expect(length % 8).toBe(0)
    expect(JSON.parse(bytes.toString('utf8', 8, 8 + length))).toEqual({
      __metadata__: { k: 'v' },
      w: { dtype: 'F32', shape: [2], data_offsets: [0, 8] },
    })
    expect([bytes.readFloatLE(8 + length), bytes.readFloatLE(12 + length)]).toEqual([1, -2])
  })

  it('refuses every cut and every wild header with a FormatError', () => {
    const bytes = encodeSafetensors([{ name: 'w', shape: [2], values: Float32Array.of(1, 2) }], {})
    for (let end = 0; end < bytes.length; end++) {
      expect(() => decodeSafetensors(bytes.subarray(0, end), 'cut')).toThrow(FormatError)
    }
    const withHeader = (header: string) => {
      const length = Buffer.alloc(8)
      length.writeBigUInt64LE(BigInt(header.length))
      return Buffer.concat([length, Buffer.from(header), Buffer.alloc(8)])
    }
    for (const entry of [
      '{"dtype":"F64","shape":[1],"data_offsets":[0,8]}',
      '{"dtype":"F32","shape":[2],"data_offsets":[0,16]}',
      '{"dtype":"F32","shape":[-2],"data_offsets":[0,8]}',
      '{"dtype":"F32","shape":[2],"data_offsets":[8,16]}',
      '{"dtype":"F32","shape":[1e300,1e300],"data_offsets":[0,8]}',
      'null',
    ])
      expect(() => decodeSafetensors(withHeader(`{"w":${entry}}`), 'wild')).toThrow(FormatError)
    expect(() => decodeSafetensors(withHeader('[]'), 'wild')).toThrow(FormatError)
    expect(() => decodeSafetensors(withHeader('{"__metadata__":{"a":1}}'), 'wild')).toThrow(FormatError)
  })
})
