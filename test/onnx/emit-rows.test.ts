import { Tensor } from 'onnxruntime-node'
import { describe, expect, test } from 'vitest'
import type { Emit } from '../../src/onnx/emit-ops.js'
import { emitGap, emitLabelLogit, emitLogSumExp, emitMoments, emitTopK, emitWithout } from '../../src/onnx/emit-rows.js'
import { build, floats, noise, rowsOf, runModel } from './models.js'

const [rows, classes, k] = [20, 50, 4]
const z = noise(rows * classes, 5)
const z2 = rowsOf(z, classes)

/** The values that `emit` names, of the rows z. */
function run(make: (emit: Emit) => Record<string, string>, opset = 18) {
  const proto = build(
    (builder) => {
      builder.input('z', 'float32', ['N', classes])
      builder.input('label', 'int32', ['N'])
      for (const [name, value] of Object.entries(make({ builder, opset })))
        builder.output(name, name === 'index' ? 'int32' : 'float32', ['N', null], value)
    },
    { opset },
  )
  const label = new Tensor(
    'int32',
    Int32Array.from({ length: rows }, (_, r) => (r % 5) - 1),
    [rows],
  )
  return runModel(proto, { z: floats(z, [rows, classes]), label })
}

describe.each([11, 13, 18, 21])('of rows of logits, opset %i', (opset) => {
  test('the k largest, and the rest', async () => {
    const { values, index, rest } = await run((emit) => {
      const { values, index, places } = emitTopK(emit, 'z', k)
      return { values, index, rest: emitWithout(emit, 'z', places) }
    }, opset)
    z2.forEach((row, r) => {
      const order = row.map((_, c) => c).sort((a, b) => row[b]! - row[a]!)
      expect(index!.values.slice(r * k, (r + 1) * k)).toEqual(order.slice(0, k))
      expect(values!.values.slice(r * k, (r + 1) * k)).toEqual(order.slice(0, k).map((c) => row[c]))
      const without = row.map((v, c) => (order.indexOf(c) < k ? Number.NEGATIVE_INFINITY : v))
      expect(rest!.values.slice(r * classes, (r + 1) * classes)).toEqual(without)
    })
  })

  test('log-sum-exp, mean and standard deviation, the logit of the label', async () => {
    const { lse, mean, deviation, labelled } = await run((emit) => {
      const { gap } = emitGap(emit, 'z')
      return {
        lse: emitLogSumExp(emit, gap, 0.25),
        ...emitMoments(emit, 'z', emit.builder.f32(classes)),
        labelled: emitLabelLogit(emit, 'z', 'label'),
      }
    }, opset)
    z2.forEach((row, r) => {
      const top = Math.max(...row)
      expect(lse!.values[r]).toBeCloseTo(Math.log(row.reduce((sum, v) => sum + Math.exp((v - top) / 4), 0)), 5)
      const average = row.reduce((a, b) => a + b) / classes
      expect(mean!.values[r]).toBeCloseTo(average, 5)
      expect(deviation!.values[r]).toBeCloseTo(
        Math.sqrt(row.reduce((sum, v) => sum + (v - average) ** 2, 0) / classes),
        5,
      )
      expect(labelled!.values[r]).toBe(r % 5 === 0 ? Number.NaN : row[(r % 5) - 1])
    })
  })
})
