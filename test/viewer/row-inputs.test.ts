import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { type DatasetFiles, folderFiles, idColumn, openTargets, type Targets } from '../../src/cache/index.js'
import { DecantError } from '../../src/errors.js'
import { openSource, type Source } from '../../src/source/index.js'
import { applyView, drawView, parseAugment } from '../../src/source/views/index.js'
import { planViews } from '../../src/source/views/views-plan.js'
import { createAnswers } from '../../src/viewer/answers.js'
import type { Sample, Samples } from '../../src/viewer/api.js'
import { sourceRowInputs } from '../../src/viewer/row-inputs.js'
import { openSubject } from '../../src/viewer/subject.js'
import { tar } from '../source/files-of-rows.js'
import { temporaryFolder } from '../student/fixtures.js'
import { CLASSES, logitsOf, pixelsOf, rowsOf, SIDE, softmax, storedPictures, writeDataset } from './fixtures.js'

const signal = new AbortController().signal
const fingerprint = 'b'.repeat(64)

/** A source of 40 pictures, of which some cannot be read; it counts what is asked of it. */
function pictures({ broken = [] as number[], idOf = (row: number) => `row-${row}` } = {}) {
  const asked: number[] = []
  const source = {
    uri: 'pictures',
    rows: 40,
    fingerprint,
    input: { kind: 'image', dtype: 'uint8', shape: [SIDE, SIDE, 1] },
    async read(rows: ArrayLike<number>) {
      const list = Array.from(rows)
      asked.push(...list)
      const bad = list.find((row) => broken.includes(row))
      if (bad !== undefined) throw new DecantError(`row ${bad} cannot be read`)
      return {
        rows: list.length,
        ids: idColumn(list.map(idOf)),
        inputs: Uint8Array.from(list.flatMap((row) => [...pixelsOf(row)])),
      }
    },
  }
  return { source: source as unknown as Source, asked }
}

async function chunkOf(targets: Targets, from: number, to: number) {
  for await (const chunk of targets.chunks({ from, to, rows: to - from })) return chunk
  throw new Error('no rows')
}

describe('samples of a source, at random', () => {
  test('the k-th row is the k-th sample of the range that was exported', async () => {
    const dir = join(await temporaryFolder(), 'targets')
    await writeDataset(dir, {
      rows: 20,
      ids: idColumn(rowsOf(20).map((row) => `row-${row + 10}`)),
      source: { uri: 'x', kind: 'images', fingerprint, rows: 40, range: { from: 10, to: 30 } },
    })
    const targets = await openTargets(dir)
    const { source, asked } = pictures()
    const found = await sourceRowInputs(targets, source).read(await chunkOf(targets, 5, 15), [0, 3, 9])
    expect(found).toEqual([15, 18, 24].map(pixelsOf))
    expect(asked).toEqual([15, 18, 24])
    await targets.close()
  })

  test('samples that the export skipped move those behind them: ids find them', async () => {
    const dir = join(await temporaryFolder(), 'targets')
    const broken = [3, 7, 8]
    const there = rowsOf(40).filter((row) => !broken.includes(row))
    await writeDataset(dir, {
      rows: there.length,
      ids: idColumn(there.map((row) => `row-${row}`)),
      source: { uri: 'x', kind: 'images', fingerprint, rows: 40 },
      skipped: broken.map((row) => ({ id: `row-${row}`, reason: 'broken' })),
      rowsPerShard: 40,
    })
    const targets = await openTargets(dir)
    const { source } = pictures({ broken })
    const inputs = sourceRowInputs(targets, source)
    for (const rows of [[30, 31, 36], [0, 4, 5], [35]])
      expect(await inputs.read(await chunkOf(targets, 0, 37), rows)).toEqual(rows.map((row) => pixelsOf(there[row]!)))
    await targets.close()
  })

  test('a row whose sample is not there has no picture, and the others have theirs', async () => {
    const dir = join(await temporaryFolder(), 'targets')
    await writeDataset(dir, { rows: 40, source: { uri: 'x', kind: 'images', fingerprint, rows: 40 } })
    const targets = await openTargets(dir)
    const { source } = pictures({ idOf: (row) => (row === 4 ? 'other' : `row-${row}`) })
    const found = await sourceRowInputs(targets, source).read(await chunkOf(targets, 0, 10), [3, 4, 5])
    expect(found).toEqual([pixelsOf(3), null, pixelsOf(5)])
    expect(() => sourceRowInputs(targets, { ...source, fingerprint: 'c'.repeat(64) })).toThrow('is not the source that')
    await targets.close()
  })

  test('a row of a view is that view of its sample, which is read once for all of them', async () => {
    const dir = join(await temporaryFolder(), 'targets')
    const pipeline = parseAugment('crop:1,flip', [SIDE, SIDE, 1])
    const views = planViews(pipeline, 2, 5)
    const params = rowsOf(40).flatMap((row) =>
      Array.from(drawView(pipeline, { seed: 5, id: `row-${row >> 1}`, view: row & 1 })),
    )
    await writeDataset(dir, {
      rows: 40,
      views,
      ids: idColumn(rowsOf(40).map((row) => `row-${row >> 1}`)),
      columns: { view: Int32Array.from(rowsOf(40), (row) => row & 1), view_params: Int32Array.from(params) },
      source: { uri: 'x', kind: 'images', fingerprint, rows: 20 },
      rowsPerShard: 20,
    })
    const targets = await openTargets(dir)
    const { source, asked } = pictures()
    const found = await sourceRowInputs(targets, source).read(await chunkOf(targets, 6, 10), [0, 1, 2])
    const P = pipeline.parameters.length
    expect(found).toEqual(
      [6, 7, 8].map((row) => applyView(pipeline, pixelsOf(row >> 1), params.slice(row * P, (row + 1) * P))),
    )
    expect(asked).toEqual([3, 4])
    await targets.close()
  })
})

test('stored inputs that are not asked for are not read, and can be read of single rows', async () => {
  const dir = join(await temporaryFolder(), 'targets')
  await writeDataset(dir, { rows: 40, inputs: storedPictures })
  const files = folderFiles(dir)
  let bytes = 0
  const counted: DatasetFiles['open'] = async (shard) => {
    const file = await files.open(shard)
    return {
      ...{ size: file.size, close: () => file.close() },
      read: (into: Uint8Array, position: number) => {
        bytes += into.byteLength
        return file.read(into, position)
      },
    }
  }
  const targets = await openTargets({ ...files, open: counted })
  await chunkOf(targets, 0, 1)
  bytes = 0
  for (const reuse of [false, true])
    for await (const chunk of targets.chunks({ inputs: false, rows: 15, reuse })) {
      expect(Object.keys(chunk.columns)).toEqual(['logits'])
      expect(Array.from(chunk.logits.subarray(0, CLASSES))).toEqual(logitsOf(chunk.first))
    }
  expect(bytes).toBeLessThan(2 * 40 * (CLASSES * 4 + 20))
  expect((await targets.row(7)).columns.input).toEqual(pixelsOf(7))
  await targets.close()
})

describe('what is no picture', () => {
  const subjectOf = (place: string) => openSubject({ place }, signal)
  const ask = async <T>(subject: Awaited<ReturnType<typeof subjectOf>>, path: string, query = '') => {
    const found = await createAnswers(subject)(path, new URLSearchParams(query), signal)
    return (found as { json: unknown }).json as T
  }

  test('samples of a source of which the export skipped some are shown as the others', async () => {
    const dir = await temporaryFolder()
    const path = join(dir, 's.tar')
    const member = (i: number) => (i === 1 ? '{"x":' : `{"x":${i},"y":${i % 2}}`)
    await writeFile(path, tar(Object.fromEntries(rowsOf(4).map((i) => [`${i}.json`, member(i)]))))
    const source = await openSource(path, { input: 'json.x', label: 'json.y', onError: 'skip' })
    const { uri, kind, fingerprint, rows, options } = source
    await source.close()
    const there = [0, 2, 3]
    await writeDataset(join(dir, 'targets'), {
      rows: there.length,
      ids: idColumn(there.map((i) => `s.tar/${i}`)),
      source: { uri, kind, fingerprint, rows, options: options! },
      skipped: [{ id: 's.tar/1', reason: 'not JSON' }],
      rowsPerShard: rows,
      preprocess: { version: 1 },
    })
    const notes: string[] = []
    const subject = await openSubject({ place: join(dir, 'targets'), onNote: (text) => notes.push(text) }, signal)
    expect(notes).toEqual([])
    const { samples } = await ask<Samples>(subject, '/api/samples')
    expect(samples.map(({ preview }) => preview)).toEqual(['0', '2', '3'])
    await subject.close()
  })

  test('features are numbers', async () => {
    const dir = join(await temporaryFolder(), 'targets')
    const values = Float32Array.from({ length: 30 * 10 }, (_, i) => i / 7)
    await writeDataset(dir, { rows: 30, inputs: { kind: 'features', shape: [10] }, columns: { input: values } })
    const subject = await subjectOf(dir)
    const sample = await ask<Sample>(subject, '/api/samples/2')
    expect(sample).toMatchObject({ features: Array.from(values.subarray(20, 30)), image: false, text: null })
    const { samples } = await ask<Samples>(subject, '/api/samples', 'limit=1')
    expect(samples[0]!.preview).toBe('0, 0.1429, 0.2857, 0.4286, 0.5714, 0.7143, 0.8571, 1')
    await expect(createAnswers(subject)('/api/samples/2/image', new URLSearchParams(), signal)).rejects.toThrow(
      /no picture/,
    )
    await subject.close()
  })

  test('tokens are text by the tokenizer that the manifest names, and numbers where it is another file; positions are shown one by one', async () => {
    const dir = await temporaryFolder()
    const tokenizer = JSON.stringify({
      version: '1.0',
      added_tokens: [
        { id: 0, content: '[CLS]', special: true, single_word: false, lstrip: false, rstrip: false, normalized: false },
      ],
      normalizer: null,
      pre_tokenizer: { type: 'Whitespace' },
      post_processor: null,
      decoder: null,
      model: {
        type: 'WordLevel',
        vocab: { '[CLS]': 0, the: 1, old: 2, dog: 3, '<b>': 4, '[UNK]': 5 },
        unk_token: '[UNK]',
      },
    })
    const path = join(dir, 'tokenizer.json')
    await writeFile(path, tokenizer)
    const { createHash } = await import('node:crypto')
    const sha256 = createHash('sha256').update(tokenizer).digest('hex')
    const tokens = rowsOf(10).flatMap((row) => [0, 1, row % 2 ? 2 : 4, row < 5 ? 3 : -1])
    await writeDataset(join(dir, 'targets'), {
      rows: 10,
      positions: 4,
      inputs: { kind: 'tokens', shape: [4] },
      preprocess: { version: 1, text: { tokenizer: path, sha256, length: 4 } },
      labels: new Int32Array(10).fill(-1),
      logits: Float32Array.from(rowsOf(40).flatMap(logitsOf)),
      columns: { input: Int32Array.from(tokens), length: Int32Array.from(rowsOf(10), (row) => (row < 5 ? 4 : 3)) },
    })
    const subject = await subjectOf(join(dir, 'targets'))
    expect(subject.what.targets).toMatchObject({ positions: 4, input: 'text', labelled: false })
    const sample = await ask<Sample>(subject, '/api/samples/7')
    expect(sample).toMatchObject({ position: 2, positions: 3, logits: logitsOf(30), text: 'the old', label: null })
    expect(sample.confidence).toBeCloseTo(Math.max(...softmax(logitsOf(30), 1)), 9)
    expect(await ask<Sample>(subject, '/api/samples/7', 'position=0')).toMatchObject({
      position: 0,
      logits: logitsOf(28),
    })
    await expect(ask(subject, '/api/samples/7', 'position=3')).rejects.toThrow('row 7 has 3 positions')
    const { samples } = await ask<Samples>(subject, '/api/samples', 'limit=2')
    expect(samples.map(({ preview }) => preview)).toEqual(['the <b> dog', 'the old dog'])
    const { rows } = await ask<{ rows: number }>(subject, '/api/overview')
    expect(rows).toBe(5 * 4 + 5 * 3)
    await subject.close()

    await writeFile(path, `${tokenizer} `)
    const again = await subjectOf(join(dir, 'targets'))
    expect(await ask<Sample>(again, '/api/samples/7')).toMatchObject({ text: '0 1 2' })
    await again.close()
  })
})
