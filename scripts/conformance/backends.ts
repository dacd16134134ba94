/** Registers the backends to be tested, and sets the one to test, before tfjs-core's tests are imported. */
import '@tensorflow/tfjs-backend-cpu'
import '@tensorflow/tfjs-core/dist/register_all_gradients.js'
import '@tensorflow/tfjs-core/dist/public/chained_ops/register_all_chained_ops.js'
import { setTestEnvs } from '@tensorflow/tfjs-core/dist/jasmine_util.js'
import { openBackend } from '../../src/engine/onnx/backend.js'

const name = process.env.CONFORMANCE_BACKEND ?? 'onnx'
openBackend()
setTestEnvs([{ name, backendName: name, isDataSync: true }])
