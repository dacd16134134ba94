import type { Chunk, Targets } from '../cache/index.js'
import { idAt, viewsOf } from '../cache/index.js'
import { DecantError, FormatError } from '../errors.js'
import { checkExported } from '../source/check-exported.js'
import type { Batch, Inputs, Source } from '../source/index.js'
import { faultOf, openViews } from '../source/views/index.js'
import { allocate, allocateInputs, type InputTable, type StudentInput, widthOf } from './inputs.js'

/** Where students' inputs come from, in the order of the targets' rows. */
export interface RowInputs {
  input: StudentInput
  /**
   * Takes up the inputs of a chunk's n rows; chunks must come in order from the first. `samples` [n] is which sample of the dataset
   * each row is. @throws FormatError naming a row that does not fit
   */
  fill(chunk: Chunk, samples: Int32Array): Promise<void>
  /** All that was taken up. */
  table(): InputTable
  close(): Promise<void>
}

interface Options {
  targets: Targets
  /** In memory that threads share. */
  shared: boolean
  signal?: AbortSignal | undefined
}

/**
 * The inputs that lie beside the targets, where no source is given; else the source's samples, joined row by row: the k-th sample of the targets
 * is the k-th of the source that the export did not skip, and its id says so. Of a dataset with views the samples are kept, and the parameters of
 * each row's own view from the dataset.
 * @throws DecantError where there is neither; MismatchError where the source isn't the one that was exported, or is opened with another preprocessing
 */
export function openInputs(options: Options & { source?: Source | undefined }): RowInputs {
  const { targets, source } = options
  if (!source) return storedInputs(options)
  checkExported(targets.manifest, source, targets)
  return sourceInputs({ ...options, source })
}

function storedInputs({ targets: { dir, manifest, rows }, shared }: Options): RowInputs {
  if (!manifest.inputs)
    throw new DecantError(`${dir}: the students' inputs are not stored in it (--store-inputs): a source is needed`)
  const input = checkInput(manifest.inputs, `${dir}/manifest.json: inputs`)
  const values = allocateInputs(input, rows, { shared })
  return {
    input,
    fill: async ({ first, columns }) => values.set(columns.input!, first * widthOf(input)),
    table: () => ({ values }),
    close: async () => {},
  }
}

function sourceInputs({ targets, source, shared, signal }: Options & { source: Source }): RowInputs {
  const { dir, manifest, rows } = targets
  const { views, derived } = manifest
  const { range, skipped } = manifest.source
  const input = checkInput(source.input, source.uri)
  const width = widthOf(input)
  const read = samplesOf(source, { ...range, width, skip: skipped.length > 0, signal })
  const count = viewsOf(manifest)
  const pipeline =
    views === 1
      ? undefined
      : openViews(views, { shape: input.shape as [number, number, number], where: `${dir}/manifest.json` })
  // How many samples a derived dataset has left shows as it is read. Room that nothing is written to takes no memory.
  const values = allocateInputs(input, derived ? rows : rows / count, { shared })
  const P = pipeline?.parameters.length ?? 0
  const params = new Int32Array(allocate(4 * rows * P, shared))
  let [sample, taken] = [undefined as Sample | undefined, 0]
  return {
    input,
    async fill(chunk, samples) {
      for (let i = 0; i < chunk.rows; i++) {
        const row = chunk.first + i
        const id = chunk.idAt(i)
        if (!sample || samples[i] === taken) {
          sample = await read.next(row)
          // Samples, or single views of them, may have been left out of a derived dataset.
          while (derived && sample.id !== id) sample = await read.next(row)
          values.set(sample.values, taken++ * width)
        }
        if (sample.id !== id)
          throw new FormatError(`${dir}: row ${row} has the id '${id}', the source's row has '${sample.id}'`)
        if (!pipeline) continue
        const name = `${dir}: row ${row} ('${id}', view ${chunk.columns.view![i]})`
        if (!derived && chunk.columns.view![i] !== row % count)
          throw new FormatError(`${name}: expected view ${row % count}`)
        const own = chunk.columns.view_params?.subarray(i * P, (i + 1) * P) ?? []
        const fault = faultOf(pipeline, own)
        if (fault !== undefined) throw new FormatError(`${name}: ${fault}`)
        params.set(own, row * P)
      }
    },
    table: () => ({
      values: values.subarray(0, taken * width),
      ...(views !== 1 && { views: { parameters: views.parameters, augment: views.augment, params } }),
    }),
    close: read.close,
  }
}

/** @throws FormatError where the shape is none of its kind */
function checkInput({ kind, shape }: StudentInput, where: string): StudentInput {
  const sizes = { image: ['height', 'width', 'channels'], features: undefined, tokens: ['length'] }[kind]
  if (sizes && shape.length !== sizes.length)
    throw new FormatError(`${where}: shape of ${kind}: expected ${sizes.join(', ')}, found ${shape.join('×')}`)
  return { kind, shape: [...shape] }
}

interface Sample {
  id: string
  values: Inputs
}

/** The source's readable rows one by one. */
function samplesOf(
  source: Source,
  options: { width: number; skip: boolean; from?: number; to?: number; signal?: AbortSignal | undefined },
) {
  const { width, skip, ...range } = options
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
      return { id: idAt(batch.ids, i), values: batch.inputs.subarray(i * width, (i + 1) * width) }
    },
  }
}
