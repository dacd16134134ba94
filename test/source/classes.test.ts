import { mkdir, rename, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import type { LabelClasses } from '../../src/source/class-finder.js'
import { openSource, reopenSource } from '../../src/source/index.js'
import type { OpenOptions } from '../../src/source/source.js'
import { idxBytes } from '../helpers/idx.js'
import { npy, zip } from './files-of-rows.js'
import { pattern, plain, temporaryFolder } from './fixtures.js'

async function open(files: Record<string, string | Uint8Array>, options: OpenOptions = {}) {
  const folder = await temporaryFolder()
  for (const [name, content] of Object.entries(files)) {
    await mkdir(dirname(join(folder, name)), { recursive: true })
    await writeFile(join(folder, name), content)
  }
  const [first] = Object.keys(files)
  const source = await openSource(first!.includes('/') ? folder : join(folder, first!), options)
  onTestFinished(() => source.close())
  return source
}
type Opened = Awaited<ReturnType<typeof open>>
const labelsOf = async (source: Opened) => [
  ...(await source.read(Array.from({ length: source.rows }, (_, i) => i))).labels,
]

/** A CSV file of a feature and labels. */
const csv = (labels: string[], classes?: LabelClasses) =>
  open(
    { 'r.csv': `x,y\n${labels.map((label) => `0,${label}\n`).join('')}` },
    { input: 'x', label: 'y', ...(classes && { classes }) },
  )
const jsonl = (labels: unknown[], classes?: LabelClasses) =>
  open(
    { 'r.jsonl': labels.map((y) => JSON.stringify({ x: 0, y })).join('\n') },
    { input: 'x', label: 'y', ...(classes && { classes }) },
  )
const folder = async (directories: string[], classes?: LabelClasses) => {
  const image = await plain(2, 2)
  return open(Object.fromEntries(directories.map((name) => [`${name}/1.png`, image])), classes && { classes })
}

describe('names map text labels and directories to classes', () => {
  const names = ['owl', 'cat', 'dog']

  test('in the order of the logits, and not every class need be there', async () => {
    for (const source of [
      await csv(['cat', 'owl', '', 'cat'], { names }),
      await jsonl(['cat', 'owl', null, 'cat'], { names }),
    ]) {
      expect(await labelsOf(source)).toEqual([1, 0, -1, 1])
      expect(source).toMatchObject({ classes: names, topLabel: 1 })
    }
    const images = await folder(['dog', 'owl'], { names })
    expect(await labelsOf(images)).toEqual([2, 0])
    expect(images).toMatchObject({ classes: names, topLabel: 2 })
  })

  test('what is no class is refused by name', async () => {
    await expect(csv(['cat', 'cow'], { names })).rejects.toThrow(
      /r.csv: row 1 \(line 3\): label 'y': expected a class, one of 'owl', 'cat', 'dog', found "cow"/,
    )
    await expect(folder(['cow', 'dog', '7'], { names })).rejects.toThrow(
      /the directories '7', 'cow' are none of the classes, which are 'owl', 'cat', 'dog'; say with --classes/,
    )
  })

  test('a directory without images need not be a class', async () => {
    const image = await plain(2, 2)
    const source = await open({ 'dog/1.png': image, 'notes/read.txt': 'me' }, { classes: { names } })
    expect(await labelsOf(source)).toEqual([2])
  })

  test('a name of two classes is refused where a label has it, and is no matter else', async () => {
    const twice = ['crane', 'cat', 'crane']
    expect(await labelsOf(await csv(['cat', ''], { names: twice }))).toEqual([1, -1])
    await expect(csv(['crane'], { names: twice })).rejects.toThrow('"crane" is the name of several classes')
  })

  test('integer labels stay class numbers', async () => {
    expect(await labelsOf(await jsonl([2, 0, -1], { names }))).toEqual([2, 0, -1])
    expect(await labelsOf(await csv(['2', '0.0', '-1'], { names }))).toEqual([2, 0, -1])
  })

  test('names that are whole numbers are matched by value, text, integers and directories alike', async () => {
    const names = ['10', '30', '20']
    expect(await labelsOf(await jsonl([20, 10, 30, -1], { names }))).toEqual([2, 0, 1, -1])
    expect(await labelsOf(await csv(['20.0', '10', ' 30'], { names }))).toEqual([2, 0, 1])
    expect(await labelsOf(await folder(['10', '20'], { names }))).toEqual([0, 2])
    await expect(jsonl([10, 1], { names })).rejects.toThrow("one of '10', '30', '20', found 1")
  })

  test('false and true are matched by their names', async () => {
    expect(await labelsOf(await jsonl([true, false], { names: ['True', 'False'] }))).toEqual([0, 1])
    expect(await labelsOf(await csv(['True', 'False'], { names: ['True', 'False'] }))).toEqual([0, 1])
  })
})

describe('numbers map integer labels to classes', () => {
  const numbers = [10, -1, 20]

  test('as integers, as text, in NPY, NPZ and IDX files, and as directories', async () => {
    expect(await labelsOf(await jsonl([20, -1, null, 10], { numbers }))).toEqual([2, 1, -1, 0])
    expect(await labelsOf(await csv(['20.0', '-1', '', '10'], { numbers }))).toEqual([2, 1, -1, 0])
    expect(await labelsOf(await folder(['10', '20'], { numbers }))).toEqual([0, 2])

    const [x, y] = [npy('<f4', [3, 1], new Float32Array(3)), npy('<i8', [3], BigInt64Array.of(20n, -1n, 10n))]
    const archive = zip({ 'x.npy': x, 'y.npy': y })
    expect(await labelsOf(await open({ 'a.npz': archive }, { input: 'x', label: 'y', classes: { numbers } }))).toEqual([
      2, 1, 0,
    ])
    const dir = await temporaryFolder()
    await writeFile(join(dir, 'x.npy'), x)
    await writeFile(join(dir, 'y.npy'), y)
    const pair = await openSource(join(dir, 'x.npy'), { labels: join(dir, 'y.npy'), classes: { numbers } })
    expect(await labelsOf(pair)).toEqual([2, 1, 0])
    await pair.close()

    await writeFile(join(dir, 'a-images-idx3-ubyte'), idxBytes([2, 2, 2], pattern(8)))
    await writeFile(join(dir, 'a-labels-idx1-ubyte'), idxBytes([2], Uint8Array.of(20, 10)))
    const idx = await openSource(join(dir, 'a-images-idx3-ubyte'), { classes: { numbers } })
    expect(await labelsOf(idx)).toEqual([2, 0])
    await idx.close()
    await expect(openSource(join(dir, 'a-images-idx3-ubyte'), { classes: { numbers: [10, 30] } })).rejects.toThrow(
      /a-labels-idx1-ubyte: label 0: expected a class, one of 10, 30, found 20/,
    )
  })

  test('text that is none of them is refused', async () => {
    await expect(csv(['10', 'cat'], { numbers })).rejects.toThrow(
      /row 1 \(line 3\): label 'y': expected a class, one of 10, -1, 20, found "cat"/,
    )
    await expect(folder(['cat', 'dog', 'owl'], { numbers })).rejects.toThrow(
      "the directories 'cat', 'dog', 'owl' are none",
    )
  })

  test('0, 1, … say nothing; one twice, and another count than of the names are refused', async () => {
    const plain = await csv(['dog', 'cat'], { numbers: [0, 1] })
    expect(plain.classes).toEqual(['cat', 'dog'])
    expect(plain.options).toEqual({ input: 'x', label: 'y' })
    await expect(csv(['1'], { numbers: [1, 1] })).rejects.toThrow('the class numbers 1, 1 hold one of them twice')
    await expect(csv(['1'], { numbers: [1], names: ['a', 'b'] })).rejects.toThrow('2 class names, but 1 class numbers')
  })

  test('names beside them map text', async () => {
    const classes = { numbers: [7, 3], names: ['seven', 'three'] }
    expect(await labelsOf(await csv(['three', 'seven'], classes))).toEqual([1, 0])
    expect(await labelsOf(await csv(['3', '7'], classes))).toEqual([1, 0])
  })
})

describe('without them', () => {
  test('text that is a whole number, however it is written, is that class number', async () => {
    const floats = Array.from({ length: 12 }, (_, k) => `${k}.0`)
    const source = await csv(['', ...floats])
    expect(await labelsOf(source)).toEqual([-1, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11])
    expect(source.classes).toBeUndefined()
    for (const same of ['3', '3.0', ' 3', '3 ', '3e0', '+3', '03', '0.3e1', '3.'])
      expect(await labelsOf(await jsonl([same])), same).toEqual([3])
    expect(await labelsOf(await jsonl(['-1', '-1.0']))).toEqual([-1, -1])
  })

  test.each([
    ['1.5', /row 1 \(line 3\): label 'y': expected a class number or a name, found 1.5/],
    ['cat', /row 1 \(line 3\): label 'y': found "cat", the labels before are numbers; say with --classes/],
    ['nan', /row 1 \(line 3\): label 'y': found "nan", the labels before are numbers/],
    [
      '-2.0',
      /row 1 \(line 3\): label 'y': expected class numbers, -1 or nothing where there is none, or names; found -2/,
    ],
    ['1e30', /expected class numbers, -1 or nothing where there is none, or names; found 1e\+30/],
  ])('beside 0, %s is refused', async (text, message) => {
    await expect(csv(['0', text])).rejects.toThrow(message)
  })

  test('of [n, 1] they are the one in each row; rows of several values are refused', async () => {
    const dir = await temporaryFolder()
    await writeFile(join(dir, 'x.npy'), npy('<f4', [3], new Float32Array(3)))
    await writeFile(join(dir, 'y.npy'), npy('|u1', [3, 1], Uint8Array.of(2, 0, 1)))
    const keras = await openSource(join(dir, 'x.npy'), { labels: join(dir, 'y.npy') })
    expect(await labelsOf(keras)).toEqual([2, 0, 1])
    await writeFile(join(dir, 'z.npy'), npy('<f4', [3, 2], Float32Array.of(0, 1, 1, 0, Number.NaN, 1)))
    await expect(openSource(join(dir, 'x.npy'), { labels: join(dir, 'z.npy') })).rejects.toThrow(
      /row 0: label 'label': expected a class number or a name, found \[0,1\]/,
    )
    const both = zip({
      'x.npy': npy('<f4', [3], new Float32Array(3)),
      'y.npy': npy('<i8', [3, 1], BigInt64Array.of(2n, 0n, 1n)),
    })
    expect(await labelsOf(await open({ 'a.npz': both }, { input: 'x', label: 'y' }))).toEqual([2, 0, 1])
  })

  test('NaN is named', async () => {
    const y = npy('<f4', [2], Float32Array.of(1, Number.NaN))
    await expect(
      open({ 'a.npz': zip({ 'x.npy': npy('<f4', [2], new Float32Array(2)), 'y.npy': y }) }, { input: 'x', label: 'y' }),
    ).rejects.toThrow(
      /row 1: label 'y': expected a class number or a name, found NaN; where there is none, -1 or nothing/,
    )
  })

  test('names, and directories, are sorted by their bytes; directories whose numbers are in another order are refused', async () => {
    expect((await csv(['b', 'ä', 'B'])).classes).toEqual(['B', 'b', 'ä'])
    expect(await labelsOf(await folder(['00', '01', '10']))).toEqual([0, 1, 2])
    await expect(folder(['9', '10', '8'])).rejects.toThrow(
      "by name '10' is before '8', by number it is not: say with --classes the directory of each logit, one a line",
    )
  })
})

test('a manifest opens the same rows again, classes included', async () => {
  const names = ['owl', 'cat', '3']
  const numbers = [5, 4, 3]
  const recorded = ({ uri, options, classes }: Opened) => ({
    source: { uri, options: JSON.parse(JSON.stringify(options)) },
    preprocess: null,
    names: classes ?? null,
    runtime: {},
  })
  for (const classes of [{ names }, { numbers }, { names, numbers }]) {
    const source = await csv(classes.names ? ['cat', 'owl'] : ['4', '5'], classes)
    const again = await reopenSource(recorded(source), { dir: 'targets' })
    onTestFinished(() => again.close())
    expect(await labelsOf(again)).toEqual([1, 0])
    expect(again).toMatchObject({ options: source.options, classes: source.classes })
  }
  const images = await folder(['cat', '3'], { names })
  const moved = `${images.uri}-moved`
  await rename(images.uri, moved)
  const again = await reopenSource(recorded(images), { dir: 'targets', uri: moved })
  expect(await labelsOf(again)).toEqual([2, 1])
  await expect(
    reopenSource({ ...recorded(images), source: { uri: moved, options: { classes: 3 } } }, { dir: 'targets' }),
  ).rejects.toThrow(/targets\/manifest.json: source.options: classes: /)
})
