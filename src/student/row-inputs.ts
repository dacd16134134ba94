import type { Chunk, Targets } from '../cache/index.js'
import { idAt, viewsOf } from '../cache/index.js'
import { DecantError, FormatError, MismatchError } from '../errors.js'
import type { Batch, Source } from '../source/index.js'
import { createReplay } from '../source/views/index.js'

/** Where students' inputs come from, in the order of the targets' rows. */
export interface RowInputs {
  shape: [height: number, width: number, channels: number]
  /** Writes the inputs uint8 [n, H, W, C] of a chunk's n rows; chunks must come in order from the first. @throws FormatError naming a row that does not fit */
  fill(chunk: Chunk, into: Uint8Array): Promise<void>
  close(): Promise<void>
}

/**
 * The inputs that lie beside the targets, where no source is given; else the source's samples, joined row by row: the k-th sample of the targets
 * is the k-th of the source that the export did not skip, and its id says so. Of a dataset with views each row's own view is replayed
 * from the parameters in the dataset.
 * @throws DecantError where there is neither; MismatchError where the source isn't the one that was exported
 */
export function openInputs(options: {
  targets: Targets
  source?: Source | undefined
  signal?: AbortSignal
}): RowInputs {
  const { targets, source } = options
  const { inputs, source: exported } = targets.manifest
  if (!source) return storedInputs(targets, inputs)
  if (source.fingerprint !== exported.fingerprint) {
    throw new MismatchError(`${source.uri} is not the source that ${targets.dir} was exported from:`, [
      `fingerprint: ${exported.fingerprint} (${exported.uri}), found ${source.fingerprint}`,
      `rows: ${exported.rows}, found ${source.rows}`,
    ])
  }
  return sourceInputs({ ...options, source })
}

function storedInputs({ dir }: Targets, inputs: Targets['manifest']['inputs']): RowInputs {
  if (!inputs)
    throw new DecantError(`${dir}: the students' inputs are not stored in it (--store-inputs): a source is needed`)
  return {
    shape: imageShape(inputs, dir),
    fill: async ({ columns }, into) => into.set(columns.input!),
    close: async () => {},
  }
}

function sourceInputs({
  targets,
  source,
  signal,
}: {
  targets: Targets
  source: Source
  signal?: AbortSignal
}): RowInputs {
  const { dir, manifest } = targets
  const shape = imageShape(source.input, source.uri)
  const bytes = shape[0] * shape[1] * shape[2]
  const { views, derived } = manifest
  const { range, skipped } = manifest.source
  const samples = samplesOf(source, { ...range, bytes, skip: skipped.length > 0, signal })
  const count = viewsOf(manifest)
  const replay = views === 1 ? undefined : createReplay(views, { shape, where: `${dir}/manifest.json` })
  let sample: Sample | undefined
  return {
    shape,
    async fill(chunk, into) {
      const { view, view_params: params } = chunk.columns
      for (let i = 0; i < chunk.rows; i++) {
        const row = chunk.first + i
        const id = chunk.idAt(i)
        const isNext = derived ? count === 1 || sample?.id !== id : row % count === 0
        if (!sample || isNext) sample = await samples.next(row)
        // Samples, or single views of them, may have been left out of a derived dataset.
        while (derived && sample.id !== id) sample = await samples.next(row)
        if (sample.id !== id)
          throw new FormatError(`${dir}: row ${row} has the id '${id}', the source's row has '${sample.id}'`)
        const own = into.subarray(i * bytes, (i + 1) * bytes)
        if (!replay) {
          own.set(sample.pixels)
          continue
        }
        const name = () => `${dir}: row ${row} ('${id}', view ${view![i]})`
        if (!derived && view![i] !== row % count) throw new FormatError(`${name()}: expected view ${row % count}`)
        const width = params!.length / chunk.rows
        replay({ pixels: sample.pixels, p: params!.subarray(i * width, (i + 1) * width), into: own, name })
      }
    },
    close: samples.close,
  }
}

function imageShape({ kind, shape }: { kind: string; shape: readonly number[] }, where: string): RowInputs['shape'] {
  if (kind !== 'image') throw new DecantError(`${where}: students learn from images so far, found ${kind}`)
  if (shape.length !== 3)
    throw new FormatError(`${where}: inputs.shape: expected height, width, channels, found ${shape.join('×')}`)
  return [...shape] as RowInputs['shape']
}

interface Sample {
  id: string
  pixels: Uint8Array
}

/** The source's readable rows one by one. */
function samplesOf(
  source: Source,
  options: { bytes: number; skip: boolean; from?: number; to?: number; signal?: AbortSignal },
) {
  const { bytes, skip, ...range } = options
  const batches = source.batches({ size: 256, ...range, onError: skip ? 'skip' : 'fail' })[Symbol.asyncIterator]()
  let [batch, at] = [undefined as Batch | undefined, 0]
  return {
    close: async () => {
      await batches.return?.()
    },
    async next(row: number): Promise<Sample> {
      while (!batch || at === batch.rows) {
        const { value, done } = await batches.next()
        if (done) throw new FormatError(`${source.uri}: ends before row ${row} of the targets`)
        batch = value
        at = 0
      }
      const i = at++
      const pixels = batch.inputs as Uint8Array
      return { id: idAt(batch.ids, i), pixels: pixels.subarray(i * bytes, (i + 1) * bytes) }
    },
  }
}
