import { expect, test } from 'vitest'
import { kernel } from '../../../src/engine/onnx/kernels/kernel.js'
import { Plans, runPlan } from '../../../src/engine/onnx/plan.js'

const floats = (shape: number[]) => ({ dtype: 'float32' as const, shape })

test('a kernel is planned once for the same types and attributes', () => {
  let planned = 0
  const counted = kernel<{ x: object }>(({ x }) => {
    planned++
    return x
  })
  const plans = new Plans()
  const find = (shape: number[], attributes: object) =>
    plans.find({ name: 'Counted', kernel: counted, types: { x: floats(shape) }, attributes })
  find([2], { alpha: 1 })
  find([2], { alpha: 1 })
  expect(planned).toBe(1)
  find([3], { alpha: 1 })
  find([2], { alpha: Number.NaN })
  find([2], { alpha: Number.POSITIVE_INFINITY })
  find([2], { alpha: null })
  expect(planned).toBe(5)
})

test('only the latest 1000 are kept', () => {
  let planned = 0
  const counted = kernel<{ x: object }>(({ x }) => {
    planned++
    return x
  })
  const plans = new Plans()
  const find = (size: number) =>
    plans.find({ name: 'Counted', kernel: counted, types: { x: floats([size]) }, attributes: {} })
  for (let size = 1; size <= 1000; size++) find(size)
  find(1)
  find(1001)
  expect(planned).toBe(1001)
  find(1)
  expect(planned).toBe(1001)
  find(2)
  expect(planned).toBe(1002)
})

test('no session is loaded for what is there already: an input under another shape, a constant', () => {
  const renamed = kernel<{ x: object }>(({ x }, _, graph) => [
    graph.emit('Reshape', [x], floats([4])),
    graph.constant(Float32Array.of(7), floats([1])),
  ])
  const plan = new Plans().find({ name: 'Renamed', kernel: renamed, types: { x: floats([2, 2]) }, attributes: {} })
  expect(plan.session).toBeUndefined()
  expect(plan.outputs.map(({ source }) => source)).toEqual([{ input: 'x' }, { data: Float32Array.of(7) }])
  const unread = () => {
    throw new Error('read')
  }
  expect(runPlan(plan, unread)).toEqual([undefined, Float32Array.of(7)])
})
