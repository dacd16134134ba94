import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { encodeModel, GraphBuilder } from '../../src/onnx/index.js'
import { measureCosts } from '../../src/student/cost.js'
import { costSchema } from '../../src/student/sweep-file.js'
import { temporaryFolder } from '../helpers/folder.js'

/** A convolution of 4 filters 3×3 in two groups, a Gemm and a MatMul over `batch` images [2, 6, 6]. */
async function write(name: string, batch: number | 'batch'): Promise<string> {
  const builder = new GraphBuilder()
  const x = builder.input('x', 'float32', [batch, 2, 6, 6])
  const kernel = builder.f32(new Float32Array(4 * 1 * 3 * 3), [4, 1, 3, 3])
  const convolved = builder.node('Conv', [x, kernel], { group: 2 }) // [N, 4, 4, 4]
  const flat = builder.node('Flatten', [convolved]) // [N, 64]
  const hidden = builder.node(
    'Gemm',
    [flat, builder.f32(new Float32Array(64 * 5), [5, 64]), builder.f32(new Float32Array(5))],
    { transB: 1 },
  )
  const scaled = builder.node('Mul', [hidden, builder.f32(2)])
  const logits = builder.node('MatMul', [scaled, builder.f32(new Float32Array(15), [5, 3])])
  builder.output('logits', 'float32', [batch, 3], logits)
  const path = join(temporaryFolder(), `${name}.onnx`)
  await writeFile(path, encodeModel(builder.model({ name })))
  return path
}

const multiplyAdds = 4 * 4 * 4 * (1 * 3 * 3) + 64 * 5 + 5 * 3
const parameters = 4 * 9 + 64 * 5 + 5 + 15 // the factor 2 is no weight

describe('measureCosts', () => {
  it('counts parameters and multiply-adds as by hand, and times calls', async () => {
    const path = await write('free', 'batch')
    const table = await measureCosts({ models: [{ name: 'free', path }], shape: [6, 6, 2] })
    expect(table).toMatchObject({ provider: 'cpu', threads: 1, batches: [1, 32] })
    const [model] = table.models
    expect(model).toMatchObject({ name: 'free', parameters, multiplyAdds })
    expect(model!.bytes).toBeGreaterThan(parameters * 4)
    expect(model!.milliseconds.every((ms) => ms! > 0)).toBe(true)
    expect(costSchema.parse(table)).toEqual(table)
  })

  it('knows of a model with a fixed batch only what that batch takes', async () => {
    const path = await write('fixed', 32)
    const { models } = await measureCosts({ models: [{ name: 'fixed', path }], shape: [6, 6, 2] })
    expect(models[0]).toMatchObject({ multiplyAdds, milliseconds: [null, expect.any(Number)] })
  })

  it('says which file is none', async () => {
    const path = join(temporaryFolder(), 'no.onnx')
    await writeFile(path, 'no model')
    await expect(measureCosts({ models: [{ name: 'no', path }], shape: [1] })).rejects.toThrow(path)
  })
})
