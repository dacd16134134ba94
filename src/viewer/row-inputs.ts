import { type Chunk, idAt, type StoredInputs, type Targets, viewsOf } from '../cache/index.js'
import { DecantError } from '../errors.js'
import { checkExported } from '../source/check-exported.js'
import type { Inputs, Source } from '../source/index.js'
import { createApply, faultOf, openViews } from '../source/views/index.js'

/** What the teacher was shown, at random: unlike in training, rows come in no order and only a few of them. */
export interface RowInputs {
  input: StoredInputs
  /** in the dataset itself */
  stored: boolean
  /** Inputs of some rows of a chunk, by their number in it; null where a row's sample is not found. */
  read(chunk: Chunk, rows: number[]): Promise<(Inputs | null)[]>
}

/** Whether PNG can show it. */
export const isPicture = ({ input: { kind, shape } }: RowInputs): boolean =>
  kind === 'image' && [1, 3].includes(shape[2] ?? 0)

/** Rows of a source that are looked through for an id that is not where it should be. */
const LOOKED_AT = 512

/** The inputs that lie beside the targets: those that came with the chunk, or read of these rows alone. */
export function storedRowInputs(targets: Targets, input: StoredInputs): RowInputs {
  const width = input.shape.reduce((all, n) => all * n, 1)
  const readOne = async ({ first, columns }: Chunk, i: number) =>
    (columns.input
      ? columns.input.slice(i * width, (i + 1) * width)
      : (await targets.row(first + i)).columns.input!) as Inputs
  return { input, stored: true, read: (chunk, rows) => Promise.all(rows.map((i) => readOne(chunk, i))) }
}

/**
 * The samples of a source; of targets with views each row's own view is made again from its parameters. Ids say which sample a row is of.
 * @throws MismatchError where it is not the source that was exported
 */
export function sourceRowInputs(targets: Targets, source: Source): RowInputs {
  const { dir, manifest } = targets
  const { range, skipped } = manifest.source
  const { views, derived } = manifest
  checkExported(manifest, source, { dir })
  const { kind, shape } = source.input
  const width = shape.reduce((all, n) => all * n, 1)
  const first = range?.from ?? 0
  const count = viewsOf(manifest)
  const pipeline =
    views === 1
      ? undefined
      : openViews(views, { shape: shape as [number, number, number], where: `${dir}/manifest.json` })
  const apply = pipeline && createApply(pipeline)
  let moved = 0 // how far the last sample was from where it would be if none had been skipped

  /** Where a sample should be. Of a derived dataset only its id tells, where it is or ends with the row's number. */
  const guess = (row: number, id: string) => {
    const number = derived ? /^(?:.*:)?(\d{1,15})$/.exec(id)?.[1] : undefined
    const at = number === undefined ? first + Math.floor(row / count) + moved : Number(number)
    return Math.min(at, source.rows - 1)
  }
  const readAt = async (places: number[]): Promise<(Found | null)[]> => {
    try {
      const batch = await source.read(places)
      return places.map((at, i) => ({
        at,
        id: idAt(batch.ids, i),
        values: batch.inputs.subarray(i * width, (i + 1) * width),
      }))
    } catch (error) {
      if (!(error instanceof DecantError)) throw error
      return places.length === 1 ? [null] : (await Promise.all(places.map((at) => readAt([at])))).flat()
    }
  }
  const search = async (row: number, id: string): Promise<Found | null> => {
    const from = derived ? guess(row, id) : first + Math.floor(row / count)
    const to = Math.min(source.rows, from + Math.min(LOOKED_AT, derived ? LOOKED_AT : skipped.length + 1))
    for (let at = from; at < to; at += 16) {
      const some = await readAt(Array.from({ length: Math.min(16, to - at) }, (_, i) => at + i))
      const found = some.find((one) => one?.id === id)
      if (!found) continue
      moved = found.at - first - Math.floor(row / count)
      return found
    }
    return null
  }

  return {
    input: { kind, shape },
    stored: false,
    async read(chunk, rows) {
      const ids = rows.map((i) => chunk.idAt(i))
      const places = rows.map((i, n) => guess(chunk.first + i, ids[n]!))
      // Views of one sample lie beside each other: it is read once.
      const distinct = [...new Set(places)]
      const read = new Map((await readAt(distinct)).map((found, i) => [distinct[i]!, found]))
      const inputs: (Inputs | null)[] = []
      for (const [n, i] of rows.entries()) {
        const id = ids[n]!
        const near = read.get(places[n]!)
        const found = near?.id === id ? near : await search(chunk.first + i, id)
        if (!found || !pipeline || !apply) {
          inputs.push(found?.values ?? null)
          continue
        }
        const P = pipeline.parameters.length
        const own = chunk.columns.view_params?.subarray(i * P, (i + 1) * P) ?? []
        const view = new Uint8Array(width)
        const fault = faultOf(pipeline, own)
        if (fault === undefined) apply(found.values as Uint8Array, own, view)
        inputs.push(fault === undefined ? view : null)
      }
      return inputs
    },
  }
}

interface Found {
  at: number
  id: string
  values: Inputs
}
