import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { openTargets } from '../../src/cache/index.js'
import { elementTypes } from '../../src/onnx/dtypes.js'
import { encodeModel, GraphBuilder } from '../../src/onnx/graph-builder.js'
import { random } from '../../src/random.js'
import { openSource, type Preprocess, readPreprocess, type Source } from '../../src/source/index.js'
import { type ExportEvent, exportTargets, rerunTeacher } from '../../src/teacher/index.js'
import { temporaryFolder } from '../helpers/folder.js'
import { sourceOf } from '../helpers/sources.js'

const [vocabulary, classes, length] = [12, 3, 5]
const PAD = 7
const stream = random('padding')
const table = Float32Array.from({ length: vocabulary * classes }, () => stream.normal())
/** Of one to five tokens; the last of the first is 0, which is a token like others. */
const texts = [[3, 0], [4, 5, 6, 8, 9], [11], [1, 2, 10]]
const tokens = Int32Array.from(texts.flatMap((ids) => Array.from({ length }, (_, i) => ids[i] ?? -1)))
const exact = texts.flatMap((ids) => [...table.subarray(ids.at(-1)! * classes, (ids.at(-1)! + 1) * classes)])

/** A classifier whose logits are the last token's row of `table`: the last that is not `PAD`, as GPT-2's and Llama's find it, or the last place. */
function writeTeacher(path: string, last: 'by id' | 'by place'): Promise<void> {
  const g = new GraphBuilder()
  const ids = g.input('input_ids', 'int64', ['N', 'L'])
  const others = g.node('Cast', [g.node('Not', [g.node('Equal', [ids, g.i64(PAD)])])], { to: elementTypes.int64 })
  const count = g.node('CumSum', [others, g.i64(1)])
  const place = g.node('ArgMax', [g.node('Mul', [others, count])], { axis: 1, keepdims: 1 })
  const found =
    last === 'by id'
      ? g.node('GatherElements', [ids, place], { axis: 1 })
      : g.node('Slice', [ids, g.i64([-1]), g.i64([length]), g.i64([1])])
  const z = g.node('Gather', [g.f32(table, [vocabulary, classes]), g.node('Squeeze', [found, g.i64([1])])])
  g.output('z', 'float32', ['N', classes], z)
  return writeFile(path, encodeModel(g.model({ name: 'last' })))
}

async function setUp(last: 'by id' | 'by place' = 'by id') {
  const dir = temporaryFolder()
  const teacher = join(dir, 'teacher.onnx')
  await writeTeacher(teacher, last)
  return { dir, teacher, out: join(dir, 'targets') }
}

type Options = { teacher: string; out: string; source?: Source; preprocess?: Preprocess }

async function exported({ preprocess, ...options }: Options) {
  const events: ExportEvent[] = []
  const memory = sourceOf({ kind: 'tokens', dtype: 'int32', shape: [length] }, tokens)
  const source = options.source ?? { ...memory, preprocess }
  const manifest = await exportTargets({
    ...{ provider: 'cpu', codec: 'f32', batch: 2, onEvent: (event) => events.push(event) },
    ...options,
    source,
  })
  const targets = await openTargets(options.out)
  onTestFinished(() => targets.close())
  const told = events.find((event) => event.type === 'padding')
  return { manifest, source, targets, events, told, logits: [...(await targets.load()).logits] }
}

const text = (changes: object): Preprocess => ({ version: 1, text: { length, ...changes } })

describe('padding', () => {
  it('is the id that the teacher compares its ids with; the manifest says it, and so it is run again', async () => {
    const { teacher, out } = await setUp()
    const { manifest, logits, told, source, targets } = await exported({ teacher, out })
    expect(logits).toEqual(exact)
    expect(told).toMatchObject({ id: PAD, side: 'right', why: 'the teacher compares ids with it' })
    expect(manifest.preprocess).toEqual(text({ pad: PAD }))
    expect(await rerunTeacher({ targets, source, teacher, provider: 'cpu' })).toMatchObject({
      within: true,
      maxDifference: 0,
    })
  })

  it('that was declared is held against it, with both ids', async () => {
    const { teacher, out } = await setUp()
    const { manifest, told } = await exported({ teacher, out, preprocess: text({ pad: PAD }) })
    expect(told).toMatchObject({ id: PAD, why: 'text.pad' })
    expect(manifest.preprocess).toEqual(text({ pad: PAD }))
    await expect(exported({ teacher, out: `${out}-0`, preprocess: text({ pad: 0 }) })).rejects.toThrow(
      /teacher.onnx: the teacher takes id 7 for padding, but it would be fed 0 \(text.pad\)/,
    )
    await expect(exported({ teacher, out: `${out}-12`, preprocess: text({ pad: 12 }) })).rejects.toThrow(/fed 12/)
  })

  it('is on the left for a teacher that takes the last place', async () => {
    const { teacher, out } = await setUp('by place')
    const preprocess = text({ padSide: 'left' })
    const { logits, told, manifest } = await exported({ teacher, out, preprocess })
    expect(logits).toEqual(exact)
    expect(told).toMatchObject({ id: 0, side: 'left', why: 'default' })
    expect(manifest.preprocess).toEqual(text({ padSide: 'left', vocabulary: 12 }))
    await expect(exported({ teacher, out: `${out}-12`, preprocess: text({ pad: 12 }) })).rejects.toThrow(
      'the teacher knows the ids 0 to 11, but padding would be 12 (text.pad)',
    )
  })

  it('of ids that came ready is where their mask says, which is told', async () => {
    const { dir, teacher, out } = await setUp()
    const rows = texts.map((ids) => {
      const padding = Array<number>(length - ids.length)
      return { input_ids: [...padding.fill(PAD), ...ids], attention_mask: [...padding.fill(0), ...ids.map(() => 1)] }
    })
    await writeFile(join(dir, 't.jsonl'), rows.map((row) => `${JSON.stringify(row)}\n`).join(''))
    const preprocess = text({ pad: PAD })
    const source = await openSource(join(dir, 't.jsonl'), { preprocess, input: 'input_ids' })
    onTestFinished(() => source.close())
    const { logits, manifest, events } = await exported({ teacher, out, source })
    expect(logits).toEqual(exact)
    expect(manifest.source.options).toEqual({ input: 'input_ids', attentionMask: 'attention_mask' })
    expect(events).toContainEqual({ type: 'attention-mask', column: 'attention_mask' })
  })

  it('of a dataset that was exported with 0, before this was looked at, is no padding to the teacher: verify says so', async () => {
    const { teacher, out } = await setUp()
    const { source, targets } = await exported({ teacher, out })
    const { sha256: _, ...manifest } = JSON.parse(await readFile(join(out, 'manifest.json'), 'utf8'))
    await writeFile(join(out, 'manifest.json'), JSON.stringify({ ...manifest, preprocess: null }))
    await targets.close()
    const old = await openTargets(out)
    onTestFinished(() => old.close())
    await expect(rerunTeacher({ targets: old, source, teacher, provider: 'cpu' })).rejects.toThrow(
      'takes id 7 for padding, but it would be fed 0 (as exported)',
    )
  })
})

describe('padding of texts', () => {
  const added = (id: number, content: string) => ({
    ...{ id, content, single_word: false, lstrip: false, rstrip: false, normalized: false, special: true },
  })
  async function opened({ padding, declared = {} }: { padding?: object; declared?: object }) {
    const setting = await setUp()
    const { dir } = setting
    const tokenizer = {
      ...{ version: '1.0', truncation: null, padding: padding ?? null, normalizer: null, post_processor: null },
      added_tokens: [added(PAD, '<pad>'), added(8, '<eos>')],
      ...{ pre_tokenizer: { type: 'WhitespaceSplit' }, decoder: null },
      model: { type: 'WordLevel', unk_token: '?', vocab: { a: 3, b: 0, c: 11, '?': 1 } },
    }
    await writeFile(join(dir, 'tokenizer.json'), JSON.stringify(tokenizer))
    await writeFile(join(dir, 'p.json'), JSON.stringify(text({ tokenizer: 'tokenizer.json', ...declared })))
    await writeFile(join(dir, 't.csv'), 't\na b\nc\n')
    const preprocess = await readPreprocess(join(dir, 'p.json'))
    const source = await openSource(join(dir, 't.csv'), { preprocess })
    onTestFinished(() => source.close())
    return { ...setting, source }
  }
  const entry = { strategy: 'BatchLongest', direction: 'Right', pad_to_multiple_of: null, pad_type_id: 0 }

  it.each<[string, Parameters<typeof opened>[0], string]>([
    ["is the tokenizer's", { padding: { ...entry, pad_id: PAD, pad_token: '<pad>' } }, "the tokenizer's"],
    ['may be declared as a token', { declared: { pad: '<pad>' } }, 'text.pad'],
    ['is what the teacher compares ids with, where nobody says it', {}, 'the teacher compares ids with it'],
  ])('%s', async (_, options, why) => {
    const { manifest, logits, told } = await exported(await opened(options))
    expect(told).toMatchObject({ id: PAD, why })
    expect(manifest.preprocess).toMatchObject({ text: { pad: PAD } })
    expect(logits).toEqual([exact.slice(0, 3), exact.slice(6, 9)].flat())
  })

  it('of the tokenizer is held against the teacher, too', async () => {
    const padding = { ...entry, pad_id: 8, pad_token: '<eos>' }
    await expect(opened({ padding }).then(exported)).rejects.toThrow(
      `takes id 7 for padding, but it would be fed 8 (the tokenizer's)`,
    )
  })

  it('that no file knows is refused', async () => {
    await expect(opened({ declared: { pad: '[PAD]' } })).rejects.toThrow(
      /^preprocess: text.pad is "\[PAD\]", a token that .*tokenizer.json does not have$/,
    )
    const { dir } = await setUp()
    await writeFile(join(dir, 'ids.jsonl'), '{"ids": [1, 2]}\n')
    await expect(openSource(join(dir, 'ids.jsonl'), { preprocess: text({ pad: '<pad>' }) })).rejects.toThrow(
      'preprocess: text.pad is "<pad>": without a tokenizer expected the id of it',
    )
  })
})
