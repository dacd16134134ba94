import { DecantError } from '../errors.js'
import { printValueInfo, type ValueInfo } from './describe-model.js'
import type { Dimension } from './graph-builder.js'

const places = ['first', 'second', 'third', 'fourth', 'fifth']

/**
 * Refuses a teacher whose batch is not the first axis, as [T, N, C] of recurrent networks: rows would go in as something else, and where sizes are open the
 * runtime would take them. Looks at what the model declares: a name or size that the logits have in front and the input further behind, or an axis
 * that is called the batch. Throws DecantError.
 */
export function checkAxes(inputs: readonly ValueInfo[], output: ValueInfo): void {
  for (const input of inputs) {
    const axis = batchAxis(input.shape ?? [], output.shape?.[0])
    if (axis === 0) continue
    throw new DecantError(
      `expected the batch as the first axis of the teacher's input, found it as the ${places[axis] ?? `${axis + 1}th`}: ${printValueInfo(input)} gives ${printValueInfo(output)}; export it with the batch first: in PyTorch batch_first=True, or a module around it that starts with x.transpose(0, ${axis})`,
    )
  }
}

/** Which axis is the batch; 0 where nothing says otherwise. */
function batchAxis(shape: readonly Dimension[], rows: Dimension | undefined): number {
  const [front] = shape
  const named = shape.findIndex((size) => typeof size === 'string' && /batch/i.test(size))
  // a name says more than a size, which may be equal by chance
  const comparable = typeof rows === 'string' || (typeof rows === 'number' && typeof front === 'number')
  const same = comparable && front !== rows ? shape.indexOf(rows) : 0
  return Math.max(named, same, 0)
}
