import { createHash } from 'node:crypto'

/**
 * The one source of randomness: xoshiro128** (Blackman and Vigna 2018), seeded by SHA-256 of a path of names and numbers.
 * A stream is found by its path alone (`random(seed, 'shuffle', epoch)`), so no generator state is ever stored:
 * work that resumes asks for the same path and gets the same numbers.
 */
export interface Random {
  /** 32 uniform bits. */
  uint32(): number
  /** Uniform in [0, 1), 24 bits (exact in float32). */
  uniform(): number
  /** Standard normal, by Box and Muller. */
  normal(): number
  /** Uniform integer in [0, n), without modulo bias. n in 1..2³². */
  below(n: number): number
  /** A uniform permutation of 0..n-1 (Fisher and Yates). */
  permutation(n: number): Uint32Array
}

export function random(...path: (string | number)[]): Random {
  const digest = createHash('sha256').update(JSON.stringify(path)).digest()
  let [a, b, c, d] = [0, 4, 8, 12].map((at) => digest.readUInt32LE(at)) as [number, number, number, number]
  const rotl = (x: number, k: number) => (x << k) | (x >>> (32 - k))

  const uint32 = () => {
    const result = Math.imul(rotl(Math.imul(b, 5), 7), 9) >>> 0
    const t = b << 9
    c ^= a
    d ^= b
    b ^= c
    a ^= d
    c ^= t
    d = rotl(d, 11)
    return result
  }
  const uniform = () => (uint32() >>> 8) * 2 ** -24
  const below = (n: number) => {
    if (!Number.isInteger(n) || n < 1 || n > 2 ** 32) throw new RangeError(`below(n): n is ${n}, expected 1..2^32`)
    const limit = 2 ** 32 - (2 ** 32 % n)
    for (;;) {
      const x = uint32()
      if (x < limit) return x % n
    }
  }
  return {
    uint32,
    uniform,
    below,
    normal: () => Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform()),
    permutation(n) {
      const order = Uint32Array.from({ length: n }, (_, i) => i)
      for (let i = n - 1; i > 0; i--) {
        const j = below(i + 1)
        const held = order[i]!
        order[i] = order[j]!
        order[j] = held
      }
      return order
    },
  }
}
