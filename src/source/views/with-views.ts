import { DecantError } from '../../errors.js'
import type { BufferPool } from '../buffers.js'
import { idAt, pickIds } from '../ids.js'
import type { Batch, BatchOptions, Source } from '../source.js'
import { createApply, drawView, parseAugment, type ViewPipeline } from './pipeline.js'
import { planViews, type ViewsPlan } from './views-plan.js'

/** As many as a dataset may have. */
export const MAX_VIEWS = 2 ** 16

/** A source of images as augmented views: `rows` = samples × V, sample-major: row r is view r mod V of sample ⌊r/V⌋, and ids repeat. */
export interface ViewSource extends Source {
  views: ViewsPlan
  pipeline: ViewPipeline
  /** The source whose samples are seen. */
  samples: Source
}

/**
 * Gives every sample of `source` as `count` augmented views, drawn from (seed, id, view) alone. Its batches carry `view` [n] and `viewParams` [n, P],
 * and hold whole samples: `from`, `to` and `size` must be multiples of `count`. A sample that cannot be read is listed once.
 * @throws DecantError where the source has no images, the count is out of range or `augment` does not fit
 */
export function withViews(source: Source, options: { count: number; augment: string; seed?: number }): ViewSource {
  const { count, augment, seed = 0 } = options
  if (!(Number.isInteger(count) && count >= 1 && count <= MAX_VIEWS))
    throw new DecantError(`views: expected a whole number from 1 to ${MAX_VIEWS}, found ${count}`)
  if (!(Number.isSafeInteger(seed) && seed >= 0))
    throw new DecantError(`views: expected a whole number of at least 0 as seed, found ${seed}`)
  if (source.input.kind !== 'image')
    throw new DecantError(`${source.uri}: views are of images, this source gives ${source.input.kind}`)
  const pipeline = parseAugment(augment, source.input.shape)
  const views = planViews(pipeline, count, seed)
  const make = createMaker(views, pipeline)
  const samplesOf = (row: number, what: string): number => {
    if (row % count !== 0) throw new RangeError(`batches: ${what} is ${row}, expected a multiple of ${count} views`)
    return row / count
  }
  return {
    ...source,
    rows: source.rows * count,
    inFile: undefined,
    views,
    pipeline,
    samples: source,
    async *batches({ from = 0, to = source.rows * count, size, buffers, ...rest }: BatchOptions) {
      const range = { from: samplesOf(from, 'from'), to: samplesOf(to, 'to'), size: samplesOf(size, 'size') }
      for await (const batch of source.batches({ ...rest, ...range })) {
        yield {
          ...make(batch, { rows: batch.rows * count, buffers, at: (i) => [Math.floor(i / count), i % count] }),
          first: batch.first * count,
          skipped: batch.skipped,
        }
      }
    },
    async read(rows) {
      const batch = await source.read(Array.from(rows, (row) => Math.floor(row / count)))
      return {
        ...make(batch, { rows: batch.rows, at: (i) => [i, rows[i]! % count] }),
        first: rows[0] ?? 0,
        skipped: batch.skipped,
      }
    },
  }
}

/** Makes views of a batch of samples: row i of the result is view `at(i)[1]` of the batch's sample `at(i)[0]`. */
function createMaker({ seed, parameters }: ViewsPlan, pipeline: ViewPipeline) {
  const apply = createApply(pipeline)
  const width = parameters.length
  return (
    batch: Batch,
    { rows, at, buffers }: { rows: number; at: (row: number) => [sample: number, view: number]; buffers?: BufferPool },
  ): Omit<Batch, 'first' | 'skipped'> => {
    const bytes = batch.inputs.length / Math.max(1, batch.rows)
    const ids = Array.from({ length: batch.rows }, (_, i) => idAt(batch.ids, i))
    const inputs = batch.inputs as Uint8Array
    const made = {
      rows,
      ids: pickIds(batch.ids, rows, (i) => at(i)[0]),
      labels: Int32Array.from({ length: rows }, (_, i) => batch.labels[at(i)[0]]!),
      inputs: buffers?.take(rows * bytes) ?? new Uint8Array(rows * bytes), // every byte is written
      view: new Int32Array(rows),
      viewParams: new Int32Array(rows * width),
    }
    for (let row = 0; row < rows; row++) {
      const [sample, view] = at(row)
      const p = drawView(pipeline, { seed, id: ids[sample]!, view })
      made.view[row] = view
      made.viewParams.set(p, row * width)
      apply(
        inputs.subarray(sample * bytes, (sample + 1) * bytes),
        p,
        made.inputs.subarray(row * bytes, (row + 1) * bytes),
      )
    }
    return made
  }
}
