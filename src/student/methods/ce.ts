import { labelLoss } from '../losses.js'
import type { Method } from '../method.js'

/** Cross-entropy on the labels alone: the control. */
export const ce: Method = {
  name: 'ce',
  needs: { teacher: false, labels: true },
  parameters: {},
  loss: (inputs) => labelLoss(inputs.studentLogits, inputs),
}
