import * as tf from '@tensorflow/tfjs-core'
import { random } from '../../../src/random.js'
import type { LossInputs } from '../../../src/student/method.js'

/** What only methods with branches, partners or memory look at. */
type Beside = Pick<LossInputs, 'student' | 'partner' | 'past' | 'remember' | 'attached' | 'input' | 'run' | 'random'>

/** What `beside.random.uniform` gives. */
export function drawn(shape: readonly number[]): number[][] {
  const { uniform } = random('drawn')
  return Array.from({ length: shape[0]! }, () => Array.from({ length: shape[1]! }, uniform))
}

/** For the others: whatever they look at, they fail; but for numbers that they may draw. */
export const beside = {
  random: { uniform: (shape: readonly number[]) => tf.tensor2d(drawn(shape)) },
} as unknown as Beside
