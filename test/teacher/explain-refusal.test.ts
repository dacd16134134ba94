import { InferenceSession } from 'onnxruntime-node'
import { describe, expect, it } from 'vitest'
import type { ElementName } from '../../src/onnx/dtypes.js'
import { encodeModel } from '../../src/onnx/index.js'
import { openDevice } from '../../src/teacher/device.js'
import { explainRefusal } from '../../src/teacher/explain-refusal.js'
import { type BuildOptions, build } from '../onnx/models.js'

interface Options extends BuildOptions {
  domain?: string
  dtype?: ElementName
}

/** A model of one node. */
const modelOf = (op: string, { domain = '', dtype = 'float32', ...options }: Options = {}) =>
  encodeModel(
    build((g) => {
      g.output('y', dtype, ['N', 4], g.node(op, [g.input('x', dtype, ['N', 4])], {}, { domain }))
    }, options),
  )

/** What the installed runtime says of a model; undefined where it takes it. */
const refusalOf = (model: Uint8Array) =>
  InferenceSession.create(model, { logSeverityLevel: 4 }).then(
    (session) => session.release(),
    (error: Error) => error.message.trim().replace(/\s+/g, ' '),
  )

describe('what ONNX Runtime does not take is explained in one line that says what to do', () => {
  it('takes IR version 13 with operator set 26, as the table of default operator sets ends', async () => {
    expect(await refusalOf(modelOf('Relu', { ir: 13, opset: 26, domains: { 'ai.onnx.ml': 5 } }))).toBeUndefined()
  })

  const cases: [string, Parameters<typeof modelOf>, string][] = [
    [
      'IR version',
      ['Relu', { ir: 14 }],
      'it is of IR version 14, this ONNX Runtime reads up to 13: export it with an older onnx, or in Python set model.ir_version = 13 and save it again',
    ],
    [
      'operator set',
      ['Relu', { opset: 27 }],
      'it is of operator set 27, this ONNX Runtime runs up to 26: export it for 26, or convert it with onnx.version_converter.convert_version(model, 26)',
    ],
    [
      'operator set of ai.onnx.ml',
      ['Normalizer', { domain: 'ai.onnx.ml', domains: { 'ai.onnx.ml': 6 } }],
      'it is of operator set 6 of ai.onnx.ml, this ONNX Runtime runs up to 5: export it for 5',
    ],
    [
      'operator',
      ['Gelu', { opset: 18 }],
      "its node 'Gelu:gelu' is Gelu, which operator set 18 does not have: export it for the operator set that has it, or without it",
    ],
    [
      'operator of a known domain',
      ['Solve', { domain: 'com.microsoft', domains: { 'com.microsoft': 1 } }],
      'ONNX Runtime has no operator Solve of com.microsoft: export the model without it',
    ],
    [
      'operator of an unknown domain',
      ['Fast', { domain: 'com.example', domains: { 'com.example': 1 } }],
      'ONNX Runtime has no operator Fast of com.example: export the model without it',
    ],
    [
      'domain that is not imported',
      ['Fast', { domain: 'com.example' }],
      "it has operators of 'com.example', and does not say which version of them: export it again with a newer converter",
    ],
    [
      'type that an operator has no code for',
      ['Hardmax', { dtype: 'bfloat16' }],
      "ONNX Runtime does not run its node 'Hardmax:hardmax', Hardmax of operator set 13, on such values: export it in float32, or without that operator",
    ],
    [
      'type that an operator does not take',
      ['BitwiseNot'],
      "ONNX Runtime finds it invalid: Type 'tensor(float)' of input parameter (x) of operator (BitwiseNot) in node (BitwiseNot:bitwisenot) is invalid; look at it with onnx.checker.check_model, and export it again",
    ],
  ]
  it.each(cases)('%s', async (_, model, expected) => {
    expect(explainRefusal((await refusalOf(modelOf(...model))) ?? 'it was taken')).toBe(expected)
  })

  it('a device names the file', async () => {
    const inputs = [{ name: 'x', dtype: 'float32', shape: [4] }] as const
    const model = modelOf('Relu', { ir: 14 })
    const opened = openDevice({ teacher: 'teacher.onnx', provider: 'cpu', device: 0, model, inputs })
    const error: unknown = await opened.catch((e: unknown) => e)
    expect(error).toMatchObject({ name: 'DecantError', exitCode: 2 })
    expect((error as Error).message).toMatch(/^teacher\.onnx: it is of IR version 14, .* save it again$/)
  })
})
