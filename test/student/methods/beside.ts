import type { LossInputs } from '../../../src/student/method.js'

/** What only methods with branches, partners or memory look at. */
type Beside = Pick<LossInputs, 'student' | 'partner' | 'rows' | 'attached'>

/** For the others: whatever they look at, they fail. */
export const beside = {} as Beside
