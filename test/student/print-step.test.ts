import { expect, it } from 'vitest'
import { openEngine } from '../../src/engine/engine.js'
import { printStep } from '../../src/student/index.js'
import { makeExample } from './fixtures.js'

it('prints the training step that engine onnx runs: inputs, gradients and state', async () => {
  const { targets, source } = await makeExample(60)
  const engine = await openEngine('onnx')
  const text = await printStep({ targets, source, engine, config: { student: 'mlp:8', batch: 32 } })
  // compact inputs, temperature and learning rate among them
  expect(text).toMatch(/pixels: uint8\[.*32,6,6,1\].*learningRate: float32.*temperature: float32/)
  // forward has two products; backward a filter gradient for each and one input gradient
  expect(text.match(/ = Gemm\(| = MatMul\(/g)).toHaveLength(5)
  expect(text).toMatch(/dense1\/kernel(_\d+)?\.next/) // tfjs counts names in the whole process
  await engine.dispose()
})

it('says which engine has a graph, where the one asked for has none', async () => {
  const { targets, source } = await makeExample(60)
  const engine = await openEngine('eager')
  await expect(printStep({ targets, source, engine, config: { student: 'mlp:8', batch: 32 } })).rejects.toThrow(
    'engine eager runs the step kernel by kernel and has no graph to print; engine onnx has',
  )
})
