import { fromBinary } from '@bufbuild/protobuf'
import { ModelProtoSchema } from 'onnx-buf'
import { InferenceSession, Tensor } from 'onnxruntime-node'
import { expect, test } from 'vitest'
import { encodeModel, GraphBuilder } from '../../src/onnx/graph-builder.js'
import { printGraph } from '../../src/onnx/print-graph.js'

function affine() {
  const g = new GraphBuilder()
  const x = g.input('x', 'float32', ['batch', 2])
  const y = g.node('Gemm', [x, g.f32([1, 2, 3, 4], [2, 2]), g.f32([10, 20])], { alpha: { float: 2 }, transB: 1 })
  g.output('y', 'float32', ['batch', 2], y)
  return g.model({ name: 'affine', metadata: { who: 'test' } })
}

test('a built model runs in ONNX Runtime', async () => {
  const session = await InferenceSession.create(encodeModel(affine()))
  const { y } = await session.run({ x: new Tensor('float32', [1, 0, 0, 1, 1, 1], [3, 2]) })
  expect([...(y!.data as Float32Array)]).toEqual([12, 26, 14, 28, 16, 34])
})

test('a model survives its encoding', () => {
  const model = affine()
  expect(printGraph(fromBinary(ModelProtoSchema, encodeModel(model)))).toBe(printGraph(model))
  expect(model.metadataProps.map(({ key, value }) => [key, value])).toEqual([['who', 'test']])
})

test('a graph prints one line a node', () => {
  expect(printGraph(affine())).toBe(`affine(x: float32[batch,2]) {
  c: float32[2,2] = [1, 2, 3, 4]
  c_1: float32[2] = [10, 20]
  gemm = Gemm(x, c, c_1) alpha=2 transB=1
  y = Identity(gemm)
  -> y: float32[batch,2]
}`)
})

test('subgraphs print below their node', () => {
  const body = new GraphBuilder({ prefix: 'b_' })
  body.output('sum', 'float32', [], body.node('Add', [body.input('s', 'float32', []), body.input('v', 'float32', [])]))
  const g = new GraphBuilder()
  const [total] = g.nodeOf('Scan', [g.f32(0), g.input('vs', 'float32', [4])], {
    body: { graph: body.graph('body') },
    num_scan_inputs: 1,
  })
  g.output('total', 'float32', [], total)
  expect(printGraph(g.graph('main')).split('\n').slice(2, 7)).toEqual([
    '  scan = Scan(c, vs) body=body num_scan_inputs=1',
    '    body(s: float32[], v: float32[]) {',
    '      b_add = Add(s, v)',
    '      sum = Identity(b_add)',
    '      -> sum: float32[]',
  ])
})

test('equal constants are stored once, equal bytes of another shape or type are not', () => {
  const g = new GraphBuilder()
  expect(g.i64([1, 2])).toBe(g.i64([1, 2]))
  expect(g.f32(0)).not.toBe(g.f32([0]))
  expect(g.f32(0)).not.toBe(g.constant('int32', Int32Array.of(0), []))
  expect(g.initializers).toHaveLength(4)
})

test('a constant keeps its values when the array it came from changes', () => {
  const g = new GraphBuilder()
  const values = Float32Array.of(1)
  g.constant('float32', values, [1])
  values[0] = 2
  expect(printGraph(g.graph('g'))).toContain('c: float32[1] = [1]')
})

test('a constant whose bytes do not fill its shape is refused', () => {
  expect(() => new GraphBuilder().f32([1, 2, 3], [2, 2])).toThrow('constant float32[2,2]: expected 16 bytes, found 12')
})

test('names keep clear of those that are taken', () => {
  const g = new GraphBuilder({ prefix: 'decant_', taken: ['decant_relu'] })
  expect(g.node('Relu', ['x'])).toBe('decant_relu_1')
  expect(g.node('Relu', ['x'])).toBe('decant_relu_2')
})
