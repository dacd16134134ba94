import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import * as tf from '@tensorflow/tfjs-core'
import { beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { openTargets } from '../../src/cache/index.js'
import { openEngine } from '../../src/engine/engine.js'
import { encodeModel, GraphBuilder } from '../../src/onnx/index.js'
import { random } from '../../src/random.js'
import { openSource, type Source } from '../../src/source/index.js'
import { loadDataset } from '../../src/student/dataset.js'
import { trainOnDataset } from '../../src/student/train.js'
import { exportTargets } from '../../src/teacher/index.js'
import { temporaryFolder } from './fixtures.js'

// Rows of five numbers in a CSV file, a teacher that looks at their products, a student, and that student as a teacher.

const [ROWS, WIDTH, CLASSES] = [400, 5, 3]
let dir: string
let source: Source
beforeAll(async () => {
  dir = await temporaryFolder()
  const stream = random('features')
  const columns = Array.from({ length: WIDTH }, (_, i) => `x${i}`)
  const lines = Array.from({ length: ROWS }, (_, row) =>
    [row % CLASSES, ...columns.map(() => (stream.normal() + (row % CLASSES)).toFixed(4))].join(),
  )
  writeFileSync(join(dir, 'rows.csv'), `${['class', ...columns].join()}\n${lines.join('\n')}\n`)
  source = await openSource(join(dir, 'rows.csv'), { input: columns, label: 'class' })
  const graph = new GraphBuilder()
  const x = graph.input('x', 'float32', ['N', WIDTH])
  const weights = Float32Array.from({ length: 2 * WIDTH * CLASSES }, () => stream.normal())
  const both = graph.node('Concat', [x, graph.node('Mul', [x, x])], { axis: 1 })
  graph.output(
    'logits',
    'float32',
    ['N', CLASSES],
    graph.node('MatMul', [both, graph.f32(weights, [2 * WIDTH, CLASSES])]),
  )
  writeFileSync(join(dir, 'teacher.onnx'), encodeModel(graph.model({ name: 'teacher' })))
})

async function exported(name: string, options: { teacher?: string; storeInputs?: boolean } = {}) {
  const { teacher = join(dir, 'teacher.onnx'), storeInputs = false } = options
  const out = join(dir, name)
  await exportTargets({ source, teacher, storeInputs, codec: 'f32', provider: 'cpu', batch: 32, out })
  const targets = await openTargets(out)
  onTestFinished(() => targets.close())
  return targets
}

describe('students of features', () => {
  it('learn from a CSV file, and are teachers of it', async () => {
    const targets = await exported('targets')
    const dataset = await loadDataset({ targets, source })
    expect(dataset.input).toEqual({ kind: 'features', shape: [WIDTH] })
    const engine = await openEngine('onnx')
    onTestFinished(() => engine.dispose())
    const out = join(dir, 'student')
    const student = await trainOnDataset({ dataset, engine, student: 'mlp:32', epochs: 20, learningRate: 0.01, out })
    expect(student.history.at(-1)!.loss).toBeLessThan(student.history[0]!.loss / 2)
    expect(student.metrics!.agreement).toBeGreaterThan(0.8)

    const again = await exported('again', { teacher: join(out, 'student.onnx') })
    const { logits } = await again.load()
    const rows = tf.tensor(dataset.inputs.values, [ROWS, WIDTH], 'float32')
    const own = (student.model.predict(rows) as tf.Tensor).dataSync()
    for (const [i, z] of own.entries()) expect(Math.abs(logits[i]! - z)).toBeLessThan(1e-4 * Math.max(1, Math.abs(z)))
  })
})
