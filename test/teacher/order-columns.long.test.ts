import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { InferenceSession, Tensor } from 'onnxruntime-node'
import { describe, expect, it } from 'vitest'
import { type CodecName, openTargets } from '../../src/cache/index.js'
import { encodeModel, GraphBuilder } from '../../src/onnx/index.js'
import { random } from '../../src/random.js'
import { openSource } from '../../src/source/index.js'
import {
  type ExportEvent,
  estimateExport,
  exportTargets,
  readTeacherClasses,
  rerunTeacher,
} from '../../src/teacher/index.js'
import { temporaryFolder } from '../helpers/folder.js'
import { sourceOf } from '../helpers/sources.js'

const rows = 200

/**
 * Writes a teacher whose label is the place of the larger of `classes` features, and whose scores are those features in the order `columns`; and a source of
 * features and their labels.
 */
function fixture(classes: number, columns: number[], { head = 'Identity' }: { head?: string } = {}) {
  const dir = temporaryFolder()
  const graph = new GraphBuilder()
  const x = graph.node('Mul', [graph.input('features', 'float32', ['N', classes]), graph.f32(2)])
  graph.output('label', 'int64', ['N'], graph.node('ArgMax', [x], { axis: 1, keepdims: 0 }))
  const scores = graph.node('Gather', [x, graph.i64(columns)], { axis: 1 })
  graph.output('scores', 'float32', ['N', classes], graph.node(head, [scores]))
  writeFileSync(join(dir, 'teacher.onnx'), encodeModel(graph.model({ name: 'columns' })))
  const stream = random('columns', classes)
  const features = Float32Array.from({ length: rows * classes }, () => stream.normal())
  const labels = Array.from({ length: rows }, (_, row) => {
    const own = features.subarray(row * classes, (row + 1) * classes)
    return own.indexOf(Math.max(...own))
  })
  const source = sourceOf({ kind: 'features', dtype: 'float32', shape: [classes] }, features, labels)
  const options = {
    source,
    teacher: join(dir, 'teacher.onnx'),
    provider: 'cpu',
    batch: 64,
    out: join(dir, 'targets'),
  } as const
  return { features, options }
}

async function run(options: Parameters<typeof exportTargets>[0]) {
  const events: ExportEvent[] = []
  const manifest = await exportTargets({ ...options, onEvent: (event) => events.push(event) })
  const of = <T extends ExportEvent['type']>(type: T) =>
    events.find((event) => event.type === type) as Extract<ExportEvent, { type: T }>
  return { manifest, told: of('label-output'), accuracy: of('accuracy') }
}

describe('two columns that stand the other way round than the label output says', () => {
  it.each<[CodecName, string]>([
    ['f32', 'Identity'],
    ['f32', 'Softmax'],
    ['f16', 'Identity'],
    ['q8', 'Identity'],
    ['topk:1', 'Identity'],
  ])('are swapped, and told: codec %s, scores behind %s', async (codec, head) => {
    const { features, options } = fixture(2, [1, 0], { head })
    const { manifest, told, accuracy } = await run({ ...options, codec })
    expect(told).toMatchObject({ output: 'label', of: 'scores', swapped: true, agreement: 1 })
    expect(manifest.teacher).toMatchObject({ swapped: true, logits: head === 'Softmax' ? 'softmax removed' : 'logits' })
    expect(accuracy).toMatchObject({ accuracy: 1, labelled: rows })
    const targets = await openTargets(options.out)
    if (codec === 'f32') expect((await targets.load()).logits).toEqual(features.map((x) => 2 * x))
    const { rows: compared, within, agreement } = await rerunTeacher({ ...options, targets })
    expect({ compared, within, agreement }).toEqual({ compared: rows, within: true, agreement: 1 })
    await targets.close()
  })

  it('are swapped again where an export goes on', async () => {
    const { options } = fixture(2, [1, 0])
    const controller = new AbortController()
    const onEvent = (event: ExportEvent) => event.type === 'shard' && controller.abort()
    const small = { ...options, shardMb: 0.001, codec: 'f32' } as const
    await expect(exportTargets({ ...small, signal: controller.signal, onEvent })).rejects.toThrow(/^stopped/)
    const { accuracy } = await run(small)
    expect(accuracy).toMatchObject({ resumed: true, accuracy: 1 })
  })
})

describe('columns that stand as the label output says', () => {
  it('stay', async () => {
    const { features, options } = fixture(3, [0, 1, 2])
    const { manifest, told } = await run({ ...options, codec: 'f32' })
    expect(told).toMatchObject({ swapped: false, agreement: 1 })
    expect(manifest.teacher).not.toHaveProperty('swapped')
    const targets = await openTargets(options.out)
    expect((await targets.load()).logits).toEqual(features.map((x) => 2 * x))
    await targets.close()
  })
})

describe('columns that belong to no order of the label output', () => {
  const message =
    /teacher\.onnx: its label output 'label' is the class of the largest of 'scores' in \d+\.\d % of \d+ sampled rows, expected 99\.0 %/
  it('are refused before anything is written, and by an estimate', async () => {
    const { options } = fixture(3, [1, 2, 0])
    await expect(exportTargets(options)).rejects.toThrow(message)
    expect(existsSync(options.out)).toBe(false)
    await expect(estimateExport(options)).rejects.toThrow(message)
  })
})

it('two classes of trees as CatBoost writes them: ONNX Runtime says 0 and 1 of -1 and 1, which are their places', async () => {
  const dir = temporaryFolder()
  const graph = new GraphBuilder()
  // one split: x0 > 0 is class 1
  const leaves = { class_ids: [0, 1, 0, 1], class_nodeids: [1, 1, 2, 2], class_treeids: [0, 0, 0, 0] }
  const [label] = graph.nodeOf(
    'TreeEnsembleClassifier',
    [graph.input('features', 'float32', ['N', 2])],
    {
      ...leaves,
      class_weights: { floats: [-2, 2, 2, -2] },
      classlabels_int64s: [-1, 1],
      nodes_falsenodeids: [2, 0, 0],
      nodes_truenodeids: [1, 0, 0],
      nodes_nodeids: [0, 1, 2],
      nodes_treeids: [0, 0, 0],
      nodes_featureids: [0, 0, 0],
      nodes_values: { floats: [0, 0, 0] },
      nodes_modes: { strings: ['BRANCH_GT', 'LEAF', 'LEAF'] },
      post_transform: 'LOGISTIC',
    },
    { domain: 'ai.onnx.ml', outputs: ['label', 'probabilities'] },
  )
  graph.output(label!, 'int64', ['N'])
  graph.output('probabilities', 'float32', ['N', 2])
  const model = graph.model({ name: 'CatBoost', domains: { 'ai.onnx.ml': 2 } })
  model.irVersion = 3n
  model.opsetImport = model.opsetImport.filter(({ domain }) => domain === 'ai.onnx.ml')
  const bytes = encodeModel(model)
  const x = new Tensor('float32', Float32Array.of(-1, 0, 1, 0), [2, 2])
  const session = await InferenceSession.create(bytes, { logSeverityLevel: 3 })
  expect([...((await session.run({ features: x })).label!.data as BigInt64Array)]).toEqual([0n, 1n]) // mended there, `orPlaces` may go
  await session.release()

  const teacher = join(dir, 'teacher.onnx')
  writeFileSync(teacher, bytes)
  const stream = random('trees')
  const rowsOf = Array.from({ length: 60 }, () => [stream.normal(), stream.normal()])
  const lines = rowsOf.map(([a, b]) => `${a},${b},${a! > 0 ? 1 : -1}`)
  writeFileSync(join(dir, 'rows.csv'), ['a,b,label', ...lines].join('\n'))
  const classes = await readTeacherClasses(teacher)
  expect(classes).toEqual({ numbers: [-1, 1] })
  const source = await openSource(join(dir, 'rows.csv'), { input: ['a', 'b'], label: 'label', classes: classes! })
  const { told, accuracy, manifest } = await run({
    source,
    teacher,
    provider: 'cpu',
    batch: 16,
    out: join(dir, 'targets'),
  })
  await source.close()
  expect(told).toMatchObject({ swapped: false, agreement: 1 })
  expect(accuracy).toMatchObject({ labelled: 60, accuracy: 1 })
  expect(manifest.teacher).toMatchObject({ opset: 8, classLabels: [-1, 1] })
})
