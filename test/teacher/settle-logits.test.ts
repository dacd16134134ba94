import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { InferenceSession, Tensor } from 'onnxruntime-node'
import { describe, expect, test } from 'vitest'
import { elementTypes } from '../../src/onnx/dtypes.js'
import { encodeModel, GraphBuilder } from '../../src/onnx/index.js'
import { random } from '../../src/random.js'
import type { SourceInput } from '../../src/source/index.js'
import { type FusedModel, loadTeacher } from '../../src/teacher/load-teacher.js'
import type { LogitsAre } from '../../src/teacher/options.js'
import type { TeacherOutput } from '../../src/teacher/run-rows.js'
import { settleLogits } from '../../src/teacher/settle-logits.js'
import { temporaryFolder } from '../helpers/folder.js'
import { makeSequences, writeBigramTeacher } from '../helpers/teachers.js'
import { rowsOf, softmax } from '../onnx/models.js'

const stream = random('settle')
const classes = 4
const logits = (rows: number, width = classes) =>
  Array.from({ length: rows }, () => Array.from({ length: width }, () => 2 * stream.normal()))
const sigmoid = (v: number) => 1 / (1 + Math.exp(-v))

interface Case {
  /** What the teacher takes; without a head it says just that. */
  values: number[][]
  head?: (g: GraphBuilder, x: string) => string
  /** Values that come out of a row. */
  width?: number
  output?: string
  told?: LogitsAre
  twoClasses?: boolean
}

/** How the logits of a teacher are found that is run on `values`, and what they are. */
async function settled({ values, head, width = values[0]!.length, ...options }: Case) {
  const inner = values[0]!.length
  const g = new GraphBuilder()
  const x = g.node('Mul', [g.input('x', 'float32', ['N', inner]), g.f32(1)])
  g.output('y', 'float32', ['N', width], head ? head(g, x) : x)
  const file = join(temporaryFolder(), 'teacher.onnx')
  writeFileSync(file, encodeModel(g.model({ name: 'said' })))
  const input: SourceInput = { kind: 'features', dtype: 'float32', shape: [inner] }
  return settle(file, {
    input,
    data: new Tensor('float32', Float32Array.from(values.flat()), [values.length, inner]),
    ...options,
  })
}

interface Sample extends Pick<Case, 'output' | 'told' | 'twoClasses'> {
  input: SourceInput
  data: Tensor
}

async function settle(file: string, { input, data, output, told, twoClasses = false }: Sample) {
  const source = { uri: 'memory', input }
  const teacher = await loadTeacher({ teacher: file, source, ...(output && { output }), told: told !== undefined })
  const sample = async ({ inputs, model }: FusedModel): Promise<TeacherOutput> => {
    const session = await InferenceSession.create(model as Uint8Array, { logSeverityLevel: 3 })
    const { row_sum, ...found } = await session.run({ [inputs[0]!.name]: data })
    await session.release()
    const columns = Object.fromEntries(Object.entries(found).map(([name, { data }]) => [name, data as Float32Array]))
    return { rows: data.dims[0]!, columns, rowSum: row_sum!.data as Float32Array }
  }
  const found = await settleLogits({ file, teacher, sample, told, twoClasses })
  const { logits, floor } = found.teacher.origin
  const { columns, rowSum } = found.sampled
  const width = columns.logits!.length / rowSum.length
  return { logits, floor, rule: found.rule, classes: width, rows: rowsOf([...(columns.logits as Float32Array)], width) }
}

const apart = (a: number[][], b: number[][]) =>
  Math.max(...a.flatMap((row, i) => row.map((v, c) => Math.abs(v - b[i]![c]!))))
const flag = /say what they are with --logits-are logits\|probabilities\|log-probabilities$/

describe('where the graph says nothing, the numbers do', () => {
  test('probabilities: their logarithm is cached, and told with the rule and the floor', async () => {
    const p = logits(300).map(softmax)
    const found = await settled({ values: p })
    expect(found).toMatchObject({ logits: 'log of probabilities', rule: 'numbers', floor: 2 ** -126 })
    expect(apart(found.rows.map(softmax), p)).toBeLessThan(1e-6)
  })
  test('log-probabilities are logits: kept, and told', async () => {
    const values = logits(300).map((row) => softmax(row).map(Math.log))
    const found = await settled({ values })
    expect(found).toMatchObject({ logits: 'log-probabilities', rule: 'numbers' })
    expect(apart(found.rows, values)).toBeLessThan(1e-6)
  })
  test('logits stay, and nothing is said', async () => {
    const values = logits(300)
    const found = await settled({ values })
    expect(found.logits).toBe('logits')
    expect(found.rule).toBeUndefined()
    expect(apart(found.rows, values)).toBeLessThan(1e-6)
  })
  test('values in [0, 1] that do not sum to 1 are refused, and taken as they are told to be', async () => {
    const values = logits(300).map((row) => row.map(sigmoid))
    await expect(settled({ values })).rejects.toThrow(
      /are the values of 'y' logits\? all sampled values lie in \[0, 1\]/,
    )
    await expect(settled({ values })).rejects.toThrow(flag)
    const asLogits = await settled({ values, told: 'logits' })
    expect(asLogits).toMatchObject({ logits: 'logits', rule: 'told' })
    expect(apart(asLogits.rows, values)).toBeLessThan(1e-6)
    const asProbabilities = await settled({ values, told: 'probabilities' })
    expect(asProbabilities).toMatchObject({ logits: 'log of probabilities', rule: 'told', floor: 2 ** -126 })
    expect(
      apart(
        asProbabilities.rows,
        values.map((row) => row.map(Math.log)),
      ),
    ).toBeLessThan(1e-5)
  })
  test('what is told and cannot be is refused', async () => {
    const values = logits(50)
    const told = (logitsAre: 'probabilities' | 'log-probabilities') => settled({ values, told: logitsAre })
    await expect(told('probabilities')).rejects.toThrow(/--logits-are probabilities, but 'y' has values below 0/)
    await expect(told('log-probabilities')).rejects.toThrow(
      /--logits-are log-probabilities, but 'y' has values above 0/,
    )
    const logarithms = await settled({
      values: logits(5).map((row) => softmax(row).map(Math.log)),
      told: 'log-probabilities',
    })
    expect(logarithms).toMatchObject({ logits: 'log-probabilities', rule: 'told' })
  })
  test('positions of sequences are judged up to their ends', async () => {
    const [rows, length, vocabulary] = [40, 6, 9]
    const p = logits(vocabulary, vocabulary).map(softmax)
    const file = join(temporaryFolder(), 'teacher.onnx')
    writeBigramTeacher(file, Float32Array.from(p.flat())) // NaN behind a sequence's end
    const { tokens } = makeSequences(stream, { rows, length, vocabulary })
    const input: SourceInput = { kind: 'tokens', dtype: 'int32', shape: [length] }
    const found = await settle(file, {
      input,
      data: new Tensor('int32', tokens, [rows, length]),
    })
    expect(found).toMatchObject({ logits: 'log of probabilities', rule: 'numbers', classes: vocabulary })
    const said = found.rows.map(softmax).filter((_, at) => tokens[at]! >= 0)
    const own = [...tokens].filter((token) => token >= 0).map((token) => p[token]!)
    expect(apart(said, own)).toBeLessThan(1e-6)
  })
})

describe('what the graph proposes is taken where the numbers agree', () => {
  test('a softmax of a softmax: the logits are the inner probabilities', async () => {
    const values = logits(300)
    const found = await settled({ values, head: (g, x) => g.node('Softmax', [g.node('Softmax', [x])]) })
    expect(found.logits).toBe('softmax removed')
    expect(found.rule).toBeUndefined()
    expect(apart(found.rows, values.map(softmax))).toBeLessThan(1e-6)
  })
  test('a softmax of which a class was cut off is none', async () => {
    const head = (g: GraphBuilder, x: string) =>
      g.node('Slice', [g.node('Softmax', [x]), g.i64([1]), g.i64([classes]), g.i64([1])])
    await expect(settled({ values: logits(300), head, width: classes - 1 })).rejects.toThrow(
      /all sampled values lie in \[0, 1\]/,
    )
  })
  test('percentages are refused; told to be probabilities, they are', async () => {
    const values = logits(300)
    const head = (g: GraphBuilder, x: string) => g.node('Mul', [g.node('Softmax', [x]), g.f32(100)])
    await expect(settled({ values, head })).rejects.toThrow(/every row sums to 100/)
    const told = await settled({ values, head, told: 'probabilities' })
    expect(told).toMatchObject({ logits: 'log of probabilities', rule: 'told' })
    expect(apart(told.rows.map(softmax), values.map(softmax))).toBeLessThan(1e-6)
  })
  test('an average that is quantized: zeros are half of a step', async () => {
    const values = logits(300).map((row) => row.map((v) => 4 * v))
    const head = (g: GraphBuilder, x: string) => {
      const grid = [g.f32(1 / 256), g.constant('uint8', Uint8Array.of(0), [])]
      const mean = g.node('Mean', [g.node('Softmax', [x]), g.node('Softmax', [g.node('Mul', [x, g.f32(0.9)])])])
      return g.node('DequantizeLinear', [g.node('QuantizeLinear', [mean, ...grid]), ...grid])
    }
    const found = await settled({ values, head })
    expect(found).toMatchObject({ logits: 'log of probabilities', floor: 1 / 512 })
    expect(found.rule).toBeUndefined()
    expect(Math.min(...found.rows.flat())).toBeCloseTo(-9 * Math.LN2, 5)
    const own = values.map((row) => {
      const [a, b] = [softmax(row), softmax(row.map((v) => 0.9 * v))]
      return a.map((p, c) => Math.min(255, Math.round(128 * (p + b[c]!))) / 256)
    })
    expect(apart(found.rows.map(softmax), own)).toBeLessThan(2e-2)
  })
  test('an average in float16: a zero may have been half of the least float16', async () => {
    const values = logits(300).map((row) => row.map((v) => 8 * v))
    const head = (g: GraphBuilder, x: string) => {
      const mean = g.node('Mean', [g.node('Softmax', [x]), g.node('Softmax', [g.node('Mul', [x, g.f32(0.9)])])])
      return g.node('Cast', [g.node('Cast', [mean], { to: elementTypes.float16 })], { to: elementTypes.float32 })
    }
    const found = await settled({ values, head })
    expect(found.logits).toBe('log of probabilities')
    expect(found.floor).toBeGreaterThanOrEqual(2 ** -25)
    expect(found.floor).toBeLessThan(2 ** -18)
  })
  test('told to be logits, a softmax stays', async () => {
    const values = logits(300)
    const found = await settled({ values, head: (g, x) => g.node('Softmax', [x]), told: 'logits' })
    expect(found).toMatchObject({ logits: 'logits', rule: 'told' })
    expect(apart(found.rows, values.map(softmax))).toBeLessThan(1e-6)
  })
})

describe('several sigmoids are several labels a row', () => {
  const values = logits(300)
  test.each([
    ['sigmoids', (g: GraphBuilder, x: string) => g.node('Sigmoid', [x])],
    ['their logarithms', (g: GraphBuilder, x: string) => g.node('Log', [g.node('Sigmoid', [x])])],
    [
      'quantized ones',
      (g: GraphBuilder, x: string) => {
        const grid = [g.f32(1 / 256), g.constant('uint8', Uint8Array.of(0), [])]
        return g.node('DequantizeLinear', [g.node('QuantizeLinear', [g.node('Sigmoid', [x]), ...grid]), ...grid])
      },
    ],
  ] as const)('%s are refused', async (_, head) => {
    await expect(settled({ values, head })).rejects.toThrow(
      /'y' ends in 4 sigmoids, whose rows do not sum to 1: .* \(multi-label\)/,
    )
    await expect(settled({ values, head })).rejects.toThrow(flag)
  })
  test('two of them as well', async () => {
    const head = (g: GraphBuilder, x: string) => g.node('Sigmoid', [x])
    await expect(settled({ values: logits(300, 2), head })).rejects.toThrow(/ends in 2 sigmoids/)
  })
  test('told to be probabilities: their logarithm, which keeps its tails', async () => {
    const far = values.map((row) => row.map((v) => 20 * v))
    const head = (g: GraphBuilder, x: string) => g.node('Sigmoid', [x])
    const found = await settled({ values: far, head, told: 'probabilities' })
    expect(found).toMatchObject({ logits: 'log of probabilities', rule: 'told' })
    const exact = far.map((row) => row.map((v) => Math.min(v, 0) - Math.log1p(Math.exp(-Math.abs(v)))))
    expect(Math.min(...exact.flat())).toBeLessThan(-60)
    expect(apart(found.rows, exact)).toBeLessThan(1e-4)
  })
})

describe('one column is a teacher of two classes only where something says so', () => {
  const values = logits(300, 1)

  test('the graph ends in a sigmoid', async () => {
    const found = await settled({ values, head: (g, x) => g.node('Sigmoid', [x]) })
    expect(found).toMatchObject({ classes: 2, logits: 'sigmoid removed' })
    expect(found.rule).toBeUndefined()
    expect(
      apart(
        found.rows,
        values.map(([z]) => [0, z!]),
      ),
    ).toBeLessThan(1e-5)
  })
  test('or in an average of sigmoids', async () => {
    const head = (g: GraphBuilder, x: string) =>
      g.node('Mean', [g.node('Sigmoid', [x]), g.node('Sigmoid', [g.node('Mul', [x, g.f32(0.5)])])])
    const found = await settled({ values, head })
    expect(found).toMatchObject({ classes: 2, logits: 'log of probabilities', floor: 2 ** -126 })
    const p = values.map(([z]) => (sigmoid(z!) + sigmoid(z! / 2)) / 2)
    expect(
      apart(
        found.rows.map(softmax),
        p.map((v) => [1 - v, v]),
      ),
    ).toBeLessThan(1e-5)
  })
  test('the labels are two classes: scores are logits', async () => {
    const found = await settled({ values, twoClasses: true })
    expect(found).toMatchObject({ classes: 2, logits: 'logits', rule: 'numbers' })
    expect(
      apart(
        found.rows,
        values.map(([z]) => [0, z!]),
      ),
    ).toBeLessThan(1e-6)
  })
  test('the flag says so', async () => {
    const told = (logitsAre: 'logits' | 'probabilities' | 'log-probabilities', of: (z: number) => number) =>
      settled({ values: values.map(([z]) => [of(z!)]), told: logitsAre })
    const p = values.map(([z]) => [1 - sigmoid(z!), sigmoid(z!)])
    expect(apart((await told('logits', (z) => z)).rows.map(softmax), p)).toBeLessThan(1e-6)
    expect(apart((await told('probabilities', sigmoid)).rows.map(softmax), p)).toBeLessThan(1e-6)
    expect(apart((await told('log-probabilities', (z) => Math.log(sigmoid(z)))).rows.map(softmax), p)).toBeLessThan(
      1e-6,
    )
  })
  test('else it is refused', async () => {
    await expect(settled({ values })).rejects.toThrow(/it is one column: a teacher of two classes, or a score\?/)
    await expect(settled({ values })).rejects.toThrow(flag)
    const p = values.map(([z]) => [sigmoid(z!)])
    await expect(settled({ values: p, twoClasses: true })).rejects.toThrow(/it is one column of values in \[0, 1\]/)
  })
  test('--output of one column inside a graph, its shape not declared', async () => {
    const head = (g: GraphBuilder, x: string) => {
      const column = g.node('MatMul', [x, g.f32([1, 0, 0, 0], [4, 1])], {}, { outputs: ['score'] })
      return g.node('Add', [x, column])
    }
    const found = { values: logits(300), head }
    await expect(settled({ ...found, output: 'score' })).rejects.toThrow(/it is one column/)
    const told = await settled({ ...found, output: 'score', told: 'logits' })
    expect(told).toMatchObject({ classes: 2, logits: 'logits' })
    expect(
      apart(
        told.rows,
        found.values.map(([z]) => [0, z!]),
      ),
    ).toBeLessThan(1e-5)
  })
})
