import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { openTargets } from '../../src/cache/index.js'
import type { ClassLabel } from '../../src/onnx/index.js'
import { encodeModel, GraphBuilder } from '../../src/onnx/index.js'
import { openSource, type Source } from '../../src/source/index.js'
import { type ExportEvent, exportTargets, readTeacherClasses } from '../../src/teacher/index.js'
import { temporaryFolder } from '../helpers/folder.js'

/** A linear classifier of as many features as classes, whose largest feature decides; as converters write it. */
function writeTeacher(labels: ClassLabel[]): string {
  const n = labels.length
  const path = join(temporaryFolder(), 'teacher.onnx')
  const graph = new GraphBuilder()
  const named = labels.every((label) => typeof label === 'number')
    ? { classlabels_ints: labels }
    : { classlabels_strings: { strings: labels.map(String) } }
  const coefficients = { floats: Array.from({ length: n * n }, (_, i) => (i % (n + 1) === 0 ? 1 : 0)) }
  const intercepts = { floats: Array<number>(n).fill(0) }
  const attributes = { ...named, coefficients, intercepts, post_transform: 'SOFTMAX' }
  const [label, scores] = graph.nodeOf('LinearClassifier', [graph.input('features', 'float32', ['N', n])], attributes, {
    domain: 'ai.onnx.ml',
    outputs: 2,
  })
  graph.output('label', typeof labels[0] === 'number' ? 'int64' : 'string', ['N'], label)
  graph.output('probabilities', 'float32', ['N', n], scores)
  writeFileSync(path, encodeModel(graph.model({ name: 'linear', domains: { 'ai.onnx.ml': 1 } })))
  return path
}

/** Rows whose largest feature is that of class `tops`, and what stands in their label column. */
function writeRows(classes: number, tops: number[], labels: ClassLabel[]): string {
  const path = join(temporaryFolder(), 'rows.csv')
  const features = Array.from({ length: classes }, (_, c) => `x${c}`)
  const lines = tops.map((top, row) => [...features.map((_, c) => (c === top ? 2 : 0.1 * c)), labels[row]].join(','))
  writeFileSync(path, [[...features, 'label'].join(','), ...lines].join('\n'))
  return path
}

const columns = (classes: number) => ({ input: Array.from({ length: classes }, (_, c) => `x${c}`), label: 'label' })

async function open(path: string, options: Parameters<typeof openSource>[1]): Promise<Source> {
  const source = await openSource(path, options)
  onTestFinished(() => source.close())
  return source
}

describe("labels are mapped by the model's own classes", () => {
  /** The teacher is right in all rows but the last. */
  const cases: [string, ClassLabel[], number[]][] = [
    ['1, 2, 3, of which the data have two', [1, 2, 3], [0, 1, 1, 0, 0]],
    ['-1, 1: -1 is a class, not a row without one', [-1, 1], [0, 1, 1, 0, 1]],
    ['10, 20, 30', [10, 20, 30], [2, 1, 0, 0, 1]],
    ['texts, of which the data have two', ['bird', 'cat', 'dog'], [1, 2, 1, 2, 2]],
    ['texts that are not in the order of the alphabet', ['setosa', 'iris', 'rosa'], [0, 1, 2, 0, 1]],
    ['texts that are numbers, sorted as texts', ['1', '10', '2'], [0, 1, 2, 0, 1]],
    ['0, 1, 2', [0, 1, 2], [0, 1, 2, 2, 1]],
  ]
  it.each(cases)('%s', async (_, labels, tops) => {
    const teacher = writeTeacher(labels)
    const wrong = tops.with(-1, (tops.at(-1)! + 1) % labels.length)
    const rows = writeRows(
      labels.length,
      tops,
      wrong.map((top) => labels[top]!),
    )
    const own = await readTeacherClasses(teacher)
    expect(own).toEqual(typeof labels[0] === 'number' ? { numbers: labels } : { names: labels })
    const source = await open(rows, { ...columns(labels.length), classes: own! })
    const events: ExportEvent[] = []
    const out = join(temporaryFolder(), 'targets')
    const onEvent = (event: ExportEvent) => events.push(event)
    const manifest = await exportTargets({ source, teacher, out, provider: 'cpu', batch: 4, onEvent })
    const targets = await openTargets(out)
    expect([...(await targets.load()).labels]).toEqual(wrong)
    await targets.close()
    expect(events.find(({ type }) => type === 'accuracy')).toMatchObject({ labelled: 5, accuracy: 0.8 })
    const inPlace = labels.every((label, k) => label === k)
    expect(manifest.teacher.classLabels).toEqual(inPlace ? undefined : labels)
    expect(manifest.names).toEqual(inPlace ? null : labels.map(String))
  })

  it.each<[ClassLabel[], ClassLabel, string]>([
    [[1, 2, 3], 4, 'expected a class, one of 1, 2, 3, found 4'],
    [[1, 2, 3], 0, 'expected a class, one of 1, 2, 3, found 0'],
    [[-1, 1], 2, 'expected a class, one of -1, 1, found 2'],
    [['no', 'yes'], 'maybe', `expected a class, one of 'no', 'yes', found "maybe"`],
  ])('a label that the model of %j does not know is refused by name: %j', async (labels, unknown, message) => {
    const rows = writeRows(labels.length, [0, 0], [labels[0]!, unknown])
    const classes = await readTeacherClasses(writeTeacher(labels))
    const opened = openSource(rows, { ...columns(labels.length), classes: classes! })
    await expect(opened).rejects.toThrow(`${rows}: row 1 (line 3): label 'label': ${message}`)
  })

  it('a source that was opened without them is refused, with what to pass', async () => {
    const teacher = writeTeacher([1, 2, 3])
    const rows = writeRows(3, [0, 1], [1, 2])
    const source = await open(rows, columns(3))
    const exported = exportTargets({ source, teacher, out: join(temporaryFolder(), 'targets'), provider: 'cpu' })
    await expect(exported).rejects.toThrow(
      `${rows}: its labels were not mapped, the teacher ${teacher} has the classes 1, 2, 3: open the source with { classes: await readTeacherClasses(teacher) }, which maps labels to them`,
    )
  })
})
