import { Tensor } from 'onnxruntime-node'
import { expect, test } from 'vitest'
import { findBinding, SyncSession } from '../../../src/engine/onnx/sync-session.js'
import { DecantError } from '../../../src/errors.js'
import { encodeModel, GraphBuilder } from '../../../src/onnx/graph-builder.js'

test('a model runs before the call returns', () => {
  const builder = new GraphBuilder()
  builder.output('y', 'float32', [2], builder.node('Neg', [builder.input('x', 'float32', [2])]))
  const session = new SyncSession(encodeModel(builder.model({ name: 'neg' })), ['y'])
  const { y } = session.run({ x: new Tensor('float32', Float32Array.of(1, -2), [2]) })
  expect([...(y!.data as Float32Array)]).toEqual([-1, 2])
  session.dispose()
})

test('a package that is made otherwise is an error at once', () => {
  const missing = () => {
    throw new Error('Cannot find module')
  }
  expect(() => findBinding(missing)).toThrow(DecantError)
  class Session {
    loadModel() {}
    dispose() {}
  }
  const asynchronous = () => ({ binding: { InferenceSession: Session }, initOrt() {} })
  expect(() => findBinding(asynchronous)).toThrow('the binding of onnxruntime-node has changed')
})
