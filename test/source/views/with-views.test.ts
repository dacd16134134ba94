import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { type Batch, idAt, openSource, type Source } from '../../../src/source/index.js'
import { applyView, drawView, withViews } from '../../../src/source/views/index.js'
import { collect, idx, pattern, temporaryFolder } from '../fixtures.js'

const [ROWS, V] = [7, 3]
const views = { count: V, augment: 'crop:1,flip', seed: 5 }

async function samples(): Promise<Source> {
  const path = join(await temporaryFolder(), 'x-images-idx3-ubyte')
  await writeFile(path, idx([ROWS, 4, 5], pattern(ROWS * 20)))
  await writeFile(path.replace('images-idx3', 'labels-idx1'), idx([ROWS], pattern(ROWS)))
  const source = await openSource(path)
  onTestFinished(() => source.close())
  return source
}
const bytesOf = ({ inputs }: Batch) => inputs as Uint8Array
const idsOf = (batch: Batch) => Array.from({ length: batch.rows }, (_, i) => idAt(batch.ids, i))

describe('withViews', () => {
  it('gives each sample as V rows, one after another, with what made them', async () => {
    const source = await samples()
    const seen = withViews(source, views)
    expect(seen.rows).toBe(ROWS * V)
    expect(seen.views).toEqual({
      count: 3,
      parameters: ['crop.x', 'crop.y', 'flip.flipped'],
      augment: { pipeline: 1, list: 'crop:1,flip' },
      seed: 5,
    })
    const batches = await collect(seen.batches({ size: 2 * V }))
    expect(batches.map(({ first, rows }) => [first, rows])).toEqual([
      [0, 6],
      [6, 6],
      [12, 6],
      [18, 3],
    ])
    const plain = await source.read([0, 1, 2, 3, 4, 5, 6])
    let row = 0
    for (const batch of batches) {
      for (let i = 0; i < batch.rows; i++, row++) {
        const sample = Math.floor(row / V)
        expect([idsOf(batch)[i], batch.labels[i], batch.view![i]]).toEqual([
          String(sample),
          plain.labels[sample],
          row % V,
        ])
        const p = drawView(seen.pipeline, { seed: 5, id: String(sample), view: row % V })
        expect(batch.viewParams!.slice(3 * i, 3 * i + 3)).toEqual(p)
        expect(batch.inputs.slice(20 * i, 20 * i + 20)).toEqual(
          applyView(seen.pipeline, bytesOf(plain).subarray(20 * sample, 20 * sample + 20), p),
        )
      }
    }
  })

  it('starts at any sample and reads any rows: the views are the same', async () => {
    const seen = withViews(await samples(), views)
    const [all] = await collect(seen.batches({ size: ROWS * V }))
    const [late] = await collect(seen.batches({ from: 4 * V, size: ROWS * V }))
    expect(late!.first).toBe(12)
    expect(late!.inputs).toEqual(bytesOf(all!).slice(12 * 20))
    const rows = [20, 3, 4, 3]
    const some = await seen.read(rows)
    expect(some.viewParams).toEqual(
      Int32Array.from(rows.flatMap((row) => [...all!.viewParams!.slice(3 * row, 3 * row + 3)])),
    )
    expect(some.inputs).toEqual(
      new Uint8Array(Buffer.concat(rows.map((row) => bytesOf(all!).slice(20 * row, 20 * row + 20)))),
    )
  })

  it('lists a sample that is left out once, whatever its views', async () => {
    const source = await samples()
    const lacking: Source = {
      ...source,
      async *batches() {
        yield { ...(await source.read([0, 2])), first: 0, skipped: [{ id: '1', reason: 'unreadable' }] }
      },
    }
    const [batch] = await collect(withViews(lacking, views).batches({ size: ROWS * V }))
    expect(batch!.skipped).toEqual([{ id: '1', reason: 'unreadable' }])
    expect(idsOf(batch!)).toEqual(['0', '0', '0', '2', '2', '2'])
  })

  it('refuses what would cut a sample in two, and counts that are none', async () => {
    const source = await samples()
    await expect(collect(withViews(source, views).batches({ size: 4 }))).rejects.toThrow(
      /size is 4, expected a multiple of 3 views/,
    )
    expect(() => withViews(source, { ...views, count: 0 })).toThrow(
      /views: expected a whole number from 1 to 65536, found 0/,
    )
    expect(() => withViews(source, { ...views, augment: 'mixup' })).toThrow(/'mixup' cannot be replayed/)
  })
})
