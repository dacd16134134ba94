import { createHash } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { ModelProto } from 'onnx-buf'
import { expect, test } from 'vitest'
import { describeModel } from '../../src/onnx/describe-model.js'
import { encodeModel, type GraphBuilder } from '../../src/onnx/graph-builder.js'
import { findLogits, fuseTeacher, readModel } from '../../src/onnx/index.js'
import { temporaryFolder } from '../helpers/folder.js'
import { build, floats, matmul, noise, runModel } from './models.js'

const [inputs, classes, rows] = [4, 3, 5]
const weights = noise(inputs * classes)

/** A LinearClassifier z = x·W alone, as converters write it: its file imports ai.onnx.ml and nothing else. */
function withoutDefault(ir: number, more = (_: GraphBuilder, z: string): string => z): ModelProto {
  const proto = build(
    (g) => {
      const coefficients = Array.from({ length: classes }, (_, c) => weights.filter((_, i) => i % classes === c)).flat()
      g.nodeOf(
        'LinearClassifier',
        [g.input('x', 'float32', ['N', inputs])],
        {
          classlabels_ints: [0, 1, 2],
          coefficients: { floats: coefficients },
          intercepts: { floats: [0, 0, 0] },
          post_transform: 'NONE',
        },
        { domain: 'ai.onnx.ml', outputs: ['label', 'z'] },
      )
      g.output(more(g, 'z'), 'float32', ['N', classes])
    },
    { ir, domains: { 'ai.onnx.ml': 1 } },
  )
  proto.opsetImport = proto.opsetImport.filter(({ domain }) => domain !== '')
  return proto
}

function write(proto: ModelProto): { path: string; bytes: Uint8Array } {
  const [path, bytes] = [join(temporaryFolder(), 'teacher.onnx'), encodeModel(proto)]
  writeFileSync(path, bytes)
  return { path, bytes }
}

// ONNX's docs/Versioning.md, "Released versions"; of later IR versions than the runtime's the last that it runs
test.each([
  [3, 8],
  [4, 9],
  [5, 10],
  [6, 11],
  [7, 14],
  [8, 18],
  [9, 20],
  [10, 22],
  [11, 23],
  [12, 24],
  [13, 26],
  [14, 26],
])('a model of IR version %i that imports ai.onnx.ml alone gets default operator set %i', async (ir, opset) => {
  const { path, bytes } = write(withoutDefault(ir))
  const model = await readModel(path)
  expect(describeModel(model).opset).toBe(opset)
  expect(model.sha256).toBe(createHash('sha256').update(bytes).digest('hex')) // of the file as it is
})

test('what is fused into it runs, and gives its logits', async () => {
  const x = noise(rows * inputs)
  for (const ir of [3, 8, 13]) {
    const { proto } = await readModel(write(withoutDefault(ir)).path)
    const found = findLogits({ proto })
    const fused = fuseTeacher(found.proto, { output: found.output, target: 'f32' })
    const { logits } = await runModel(fused.proto, { x: floats(x, [rows, inputs]) })
    const expected = matmul(x, weights, inputs)
    logits!.values.forEach((z, i) => {
      expect(z).toBeCloseTo(expected[i]!, 5)
    })
  }
})

test('operators of a default operator set that is not imported are refused: their version cannot be known', async () => {
  const { path } = write(withoutDefault(8, (g, z) => g.node('Softmax', [z])))
  await expect(readModel(path)).rejects.toThrow(
    `${path}: it has Softmax of the default operator set, and does not say which version of that: export it again with a newer converter`,
  )
})
