import { describe, expect, it } from 'vitest'
import { BufferPool } from '../../src/source/buffers.js'

describe('a pool of buffers', () => {
  it('hands out what was given back, where the length is the same', () => {
    const pool = new BufferPool(2)
    const first = pool.take(100).buffer
    pool.give(first)
    expect(pool.take(100).buffer).toBe(first)
    expect(pool.take(100).buffer).not.toBe(first)
  })

  it('keeps no other length than the last one asked for, and no more than it may', () => {
    const pool = new BufferPool(2)
    const [a, b, c] = [pool.take(100).buffer, pool.take(100).buffer, pool.take(100).buffer]
    for (const buffer of [new ArrayBuffer(50), a, b, c]) pool.give(buffer)
    expect([pool.take(100).buffer, pool.take(100).buffer].every((buffer) => buffer === a || buffer === b)).toBe(true)
    expect([a, b, c]).not.toContain(pool.take(100).buffer)
    pool.give(a)
    pool.take(50)
    expect(pool.take(100).buffer).not.toBe(a)
  })

  it('gives an ArrayBuffer of the very length, so that it can be moved to a thread', () => {
    const { buffer, byteOffset, length } = new BufferPool(2).take(100)
    expect([buffer.byteLength, byteOffset, length]).toEqual([100, 0, 100])
  })
})
