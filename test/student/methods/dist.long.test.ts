import { beforeAll, expect, it } from 'vitest'
import { type Engine, openEngine } from '../../../src/engine/engine.js'
import { random } from '../../../src/random.js'
import { dist } from '../../../src/student/methods/dist.js'
import { formulas } from './formulas.js'
import { encodeTargets, runMethod } from './run-method.js'

let engine: Engine
beforeAll(async () => {
  engine = await openEngine('onnx', { threads: 1 })
})

/**
 * Where a student, or a teacher, prefers nothing, all probabilities of a row, or of a class, are equal, and a correlation is 0. 1/C is no number of float32 for most
 * C, the mean of C of them is another one, and a vector's last ones may be rounded otherwise than its first.
 */
it.each([3, 5, 6, 7, 10, 11, 100])(
  'dist of %d classes is its formula where there is nothing to correlate, traced and eager',
  async (C) => {
    const rows = 6
    const { normal } = random('dist', C)
    const some = Array.from({ length: rows }, () => Array.from({ length: C }, () => Math.fround(3 * normal())))
    const none = some.map((row, i) => row.map(() => i / 7))
    const labels = some.map(() => -1)
    const { temperature: T = 1, alpha = 0, ...parameters } = dist.parameters
    const pairs: [number[][], number[][]][] = [
      [none, some],
      [some, none],
      [none, none],
      [[...none.slice(0, 2), ...some.slice(2)], some],
    ]
    for (const [student, teacher] of pairs) {
      const expected = formulas.dist!({ s: student, t: teacher, labels, T, alpha, epoch: 0, parameters })
      const stored = encodeTargets('f32', { teacher, labels, keys: new Uint32Array(rows) })
      for (const { value } of await runMethod(engine, dist, { student, stored, labels, T, alpha, parameters }))
        expect(Math.abs(value![0]! - expected)).toBeLessThan(1e-5)
    }
  },
)
