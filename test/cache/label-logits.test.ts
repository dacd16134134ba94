import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import {
  type CodecName,
  codecOf,
  convertTargets,
  createTargets,
  ensembleTargets,
  halfOf,
  mergeTargets,
  nextTokens,
  openTargets,
  type Plan,
  selectTargets,
  verifyTargets,
} from '../../src/cache/index.js'
import { temporaryFolder } from '../helpers/folder.js'
import { CREATED, idOf, logitsOf, makePlan, makeRows } from './datasets.js'

// Sequences of up to four tokens, the largest of which is no class, and the logits of their labels: the next tokens.

const [ROWS, LENGTH, CLASSES] = [9, 4, 6]
const all = Array.from({ length: ROWS }, (_, row) => row)
const lengthOf = (row: number) => row % (LENGTH + 1)
const tokensOf = (row: number) =>
  Array.from({ length: LENGTH }, (_, i) => (i < lengthOf(row) ? (5 * row + 3 * i) % (CLASSES + 1) : -1))
const labelsOf = (rows: number[]) => nextTokens(rows.flatMap(tokensOf), { positions: LENGTH, classes: CLASSES })
const logitsIn = (rows: number[]) => Float32Array.from(rows.flatMap((row) => logitsOf(row, LENGTH * CLASSES)))
const inputs: Plan['inputs'] = { kind: 'tokens', shape: [LENGTH] }

interface Options {
  codec: CodecName
  /** The tokens lie beside the targets. */
  stored?: boolean
  rows?: number[]
  /** Alters `label_logit`, [rows·LENGTH]. */
  edit?: (values: Uint16Array) => void
}

async function write(dir: string, { codec, stored = true, rows = all, edit = () => {} }: Options): Promise<string> {
  const bucketed = codecOf(codec).kind === 'bucketed'
  const plan = makePlan({
    ...{ rows: ROWS, classes: CLASSES, positions: LENGTH, codec },
    ...(bucketed && { positionLabels: 'next token' }),
    ...(stored && { inputs }),
  })
  if (rows !== all) plan.source.range = { from: rows[0]!, to: rows.at(-1)! + 1 }
  const { logits: _, ...described } = makeRows(plan, rows[0]!, rows.at(-1)! + 1)
  const labels = bucketed ? labelsOf(rows) : undefined
  const columns = codecOf(codec).encode({ logits: logitsIn(rows), classes: CLASSES, positions: LENGTH, labels })
  if (columns.label_logit) edit(columns.label_logit as Uint16Array)
  const beside = {
    length: Int32Array.from(rows, lengthOf),
    ...(stored && { input: Int32Array.from(rows.flatMap(tokensOf)) }),
  }
  const writer = await createTargets(dir, plan)
  await writer.beginShard(0)
  await writer.append({ ...described, columns: { ...columns, ...beside } })
  await writer.endShard()
  await writer.finish({ created: CREATED })
  return dir
}

/** [targets] raw, NaN where there is none; undefined where the dataset has none at all. */
async function read(dir: string): Promise<number[] | undefined> {
  const targets = await openTargets(dir)
  const { labelLogit } = (await targets.load()).buckets
  await targets.close()
  return labelLogit && [...labelLogit]
}

function expectLogits(found: number[] | undefined, rows: number[]): void {
  const [z, labels] = [logitsIn(rows), labelsOf(rows)]
  expect(found).toHaveLength(labels.length)
  labels.forEach((label, at) => {
    if (label < 0) expect(found![at]).toBeNaN()
    else expect(Math.abs(found![at]! - z[at * CLASSES + label]!)).toBeLessThan(0.02)
  })
}

describe('the logit of each next token is', () => {
  test('made by convert and ensemble, where the tokens lie beside the targets', async () => {
    const [root, codec] = [temporaryFolder(), 'topk:2'] as const
    const dir = await write(join(root, 'dense'), { codec: 'f16' })
    const out = (name: string) => ({ codec, out: join(root, name) })
    const converted = await convertTargets(dir, out('converted'))
    expect(converted).toMatchObject({ positionLabels: 'next token' })
    expectLogits(await read(join(root, 'converted')), all)
    await ensembleTargets([dir, dir], out('ensemble'))
    expectLogits(await read(join(root, 'ensemble')), all)
    expect(await verifyTargets(join(root, 'ensemble'))).toMatchObject({ problems: [] })
  })

  test('not made where they do not', async () => {
    const root = temporaryFolder()
    const dir = await write(join(root, 'dense'), { codec: 'f32', stored: false })
    const converted = await convertTargets(dir, { codec: 'topk:2', out: join(root, 'converted') })
    expect(converted.positionLabels).toBeUndefined()
    expect(await read(join(root, 'converted'))).toBeUndefined()
    expect(await verifyTargets(join(root, 'converted'))).toMatchObject({ problems: [] })
  })

  test.each([true, false])('kept by merge and select (tokens stored: %s)', async (stored) => {
    const root = temporaryFolder()
    const part = (name: string, rows: number[]) => write(join(root, name), { codec: 'topk:2', stored, rows })
    const parts = [await part('a', all.slice(0, 4)), await part('b', all.slice(4))]
    await mergeTargets(parts, { out: join(root, 'merged') })
    expectLogits(await read(join(root, 'merged')), all)
    await selectTargets(join(root, 'merged'), { ids: [1, 4, 8].map(idOf), out: join(root, 'selected') })
    expectLogits(await read(join(root, 'selected')), [1, 4, 8])
    expect(await verifyTargets(join(root, 'selected'))).toMatchObject({ problems: [] })
  })
})

describe('verify finds', () => {
  const noClass = labelsOf(all).findIndex((label, at) => label < 0 && all.flatMap(tokensOf)[at + 1] === CLASSES)
  const known = labelsOf(all).findIndex((label) => label >= 0)
  const last = 3 * LENGTH + 2 // row 3 has three tokens
  const row = (at: number) => `row '${idOf(Math.floor(at / LENGTH))}': position ${at % LENGTH}: label_logit`
  test.each<[string, number, number, boolean, string | undefined]>([
    ['one at the last position', last, 0, true, `${row(last)} 0, expected NaN where there is no label`],
    ['one at the last position of tokens that are not there', last, 0, false, `${row(last)} 0, expected NaN`],
    ['one of a token that is no class', noClass, 0, true, `${row(noClass)} 0, expected NaN`],
    [
      'none where a token follows',
      known,
      Number.NaN,
      true,
      `${row(known)} NaN, expected a finite number for the label`,
    ],
    ['an infinite one', known, -Infinity, false, `${row(known)} -Infinity, expected a finite number`],
    ['nothing where only the tokens could say', known, Number.NaN, false, undefined],
  ])('%s', async (_, at, value, stored, problem) => {
    const edit = (values: Uint16Array) => void values.fill(halfOf(value), at, at + 1)
    const dir = await write(temporaryFolder(), { codec: 'topk:2', stored, edit })
    const { problems } = await verifyTargets(dir)
    expect(problems).toEqual(problem ? [expect.stringContaining(problem)] : [])
  })
})
