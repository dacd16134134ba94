import fc from 'fast-check'
import { beforeEach } from 'vitest'
import { random } from '../src/random.js'

/** DECANT_SEED, 0 unless it is set: other draws for all tests. */
const seed = process.env.DECANT_SEED ?? 0

/** Draws that nobody seeds, as of tfjs's initializers and fast-check, are a test's own: the same at each run, alone and among others. */
function seedDraws(...path: string[]): void {
  const { uniform, below } = random('test', seed, ...path)
  Math.random = uniform
  fc.configureGlobal({ ...fc.readConfigureGlobal(), seed: below(2 ** 31) })
}

seedDraws()
beforeEach(({ task }) => seedDraws(task.name))
