import { describe, expect, it } from 'vitest'
import type { ClassLabel } from '../../src/onnx/index.js'
import { matchClasses } from '../../src/teacher/match-classes.js'

describe('classes that do not belong together', () => {
  interface Case {
    labels: ClassLabel[] | undefined
    source: Partial<Parameters<typeof matchClasses>[0]['source']>
    classes?: number
  }
  const match = ({ labels, source, classes = labels?.length ?? 3 }: Case) =>
    matchClasses({
      teacher: 't.onnx',
      labels,
      classes,
      source: { uri: 'rows.csv', topLabel: 1, classes: undefined, options: {}, ...source },
    })

  it.each<[string, Case, string]>([
    [
      'labels mapped by other numbers',
      { labels: [1, 2, 3], source: { options: { classes: { numbers: [2, 1, 3] } } } },
      'rows.csv: its labels were mapped by 2, 1, 3, the teacher t.onnx has the classes 1, 2, 3',
    ],
    [
      'directories of numbers, sorted as texts',
      { labels: [1, 10, 2].toSorted((a, b) => a - b), source: { classes: ['1', '10', '2'] } },
      'its labels were not mapped, the teacher t.onnx has the classes 1, 2, 10',
    ],
    [
      'integers for texts that are numbers',
      { labels: ['1', '2', '3'], source: {} },
      "its labels were not mapped, the teacher t.onnx has the classes '1', '2', '3'",
    ],
    [
      'names in another order',
      { labels: ['yes', 'no'], source: { classes: ['no', 'yes'] } },
      "its labels are 'no', 'yes', the teacher t.onnx has the classes 'yes', 'no'",
    ],
    [
      "given names that are the model's in another order",
      { labels: ['yes', 'no'], source: { classes: ['no', 'yes'], options: { classes: { names: true } } } },
      "the class names given have 'no' for logit 0, which in the teacher t.onnx is logit 1: its own are 'yes', 'no'",
    ],
    [
      'more values than classes, as an SVC of pairs of classes gives',
      { labels: [0, 1, 2, 3], classes: 6, source: {} },
      't.onnx: it names 4 classes, 0, 1, 2, 3, but gives 6 values a row: they are not the logits of these classes; name the output that is with --output',
    ],
  ])('%s', (_, given, message) => {
    expect(() => match(given)).toThrow(message)
  })

  it.each<[string, Case, string[] | null]>([
    ['no labels to map', { labels: [1, 2, 3], source: { topLabel: -1 } }, ['1', '2', '3']],
    ['directories in the order of the logits', { labels: [1, 2], source: { classes: ['cat', 'dog'] } }, ['cat', 'dog']],
    [
      "names of one's own for the model's",
      { labels: ['n01', 'n02'], source: { classes: ['tench', 'shark'], options: { classes: { names: true } } } },
      ['tench', 'shark'],
    ],
    ['integers for texts', { labels: ['no', 'yes'], source: {} }, ['no', 'yes']],
    ['a model that names no classes', { labels: undefined, source: {} }, null],
  ])('but not: %s', (_, given, names) => {
    expect(match(given)).toEqual(names)
  })
})
