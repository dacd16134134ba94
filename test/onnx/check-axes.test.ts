import { describe, expect, it } from 'vitest'
import { checkAxes } from '../../src/onnx/check-axes.js'
import type { Dimension } from '../../src/onnx/graph-builder.js'

const value = (name: string, shape: Dimension[] | undefined) => ({ name, dtype: 'float32', shape })
const check = (input: Dimension[] | undefined, output: Dimension[] | undefined) =>
  checkAxes([value('x', input)], value('z', output))

describe('a batch that is not the first axis is refused by what the model declares', () => {
  // shapes as PyTorch's exporters write them
  it.each<[string, Dimension[], Dimension[], string]>([
    ['by its name in the logits', ['s77', 's27', 8], ['s27', 5], 'second'],
    ['where the time is fixed', [12, 's27', 8], ['s27', 5], 'second'],
    ['by what it is called', ['seq', 'batch', 20], ['seq', 'batch', 20], 'second'],
    ['by its size, where all is fixed', [12, 3, 8], [3, 5], 'second'],
    ['as the last', ['features', 12, 'batch_size'], ['batch_size', 5], 'third'],
  ])('%s', (_, input, output, place) => {
    const shapes = `x: float32[${input}] gives z: float32[${output}]`
    expect(() => check(input, output)).toThrow(
      `expected the batch as the first axis of the teacher's input, found it as the ${place}: ${shapes}; export it with the batch first`,
    )
  })

  it.each<[string, Dimension[] | undefined, Dimension[] | undefined]>([
    ['the batch in front', ['batch', 12, 8], ['batch', 5]],
    ['nothing that is declared', undefined, undefined],
    ['a name in front of the logits that the input does not have', ['N', 3, 32, 32], ['M', 5]],
    ['logits of one row, an open batch, and an axis of 1', ['N', 1, 28, 28], [1, 5]],
    ['as many classes as channels', [1, 3, 8, 8], [1, 3]],
    ['a batch that is as large as another axis', [8, 8, 8], [8, 5]],
  ])('takes %s', (_, input, output) => {
    expect(() => check(input, output)).not.toThrow()
  })
})
