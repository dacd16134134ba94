import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { join } from 'node:path'
import pLimit from 'p-limit'
import { DecantError } from '../errors.js'
import { ahead, batchStarts, checkRange, checkRows } from './batching.js'
import type { LabelClasses } from './class-finder.js'
import { declaredSize, planGeometry, type Size, sizeText } from './geometry.js'
import { idAt, pickIds } from './ids.js'
import { type ImageList, listImages } from './image-list.js'
import { topOf } from './labels.js'
import { classesOption } from './options.js'
import { decodeImage, decoderOf, IN_FLIGHT, readHeader } from './pixels.js'
import type { Preprocess } from './preprocess.js'
import type { Batch, Source } from './source.js'
import { channelsOf } from './transform.js'

type Run = (work: () => Promise<void>) => Promise<void>

/**
 * A folder of images (see listImages). Ids are paths relative to it. Where neither resize nor crop says the size of the inputs, the headers of all images are
 * read when it is opened, and they must be of one size.
 * @throws see openSource; DecantError naming two images that differ in size
 */
export async function openImages(
  uri: string,
  { preprocess, classes }: { preprocess: Preprocess; classes: LabelClasses | undefined },
): Promise<Source> {
  const list = await listImages(uri, classes)
  const rows = list.labels.length
  const channels = channelsOf(preprocess, 3)
  const size = declaredSize(preprocess) ?? (await commonSize(uri, list, preprocess))
  const bytes = size.height * size.width * channels

  async function decode(row: number): Promise<Uint8Array> {
    if (list.links.has(row)) throw new DecantError('a symbolic link out of the folder, or to no file, is not followed')
    const { data, ...found } = await decodeImage(join(uri, idAt(list.paths, row)), preprocess, channels)
    if (found.width !== size.width || found.height !== size.height)
      throw new DecantError(`its size is ${sizeText(found)}, expected ${sizeText(size)}; declare resize or crop`)
    return data
  }

  /** Decodes rows `at(0..n-1)`; `run` bounds how many images are in flight. */
  async function gather(
    n: number,
    at: (i: number) => number,
    { run, skip }: { run: Run; skip: boolean },
  ): Promise<Batch> {
    const inputs = new Uint8Array(n * bytes)
    const reasons = new Map<number, DecantError>()
    const one = async (i: number) => {
      if (reasons.size > 0 && !skip) return
      try {
        inputs.set(await decode(at(i)), i * bytes)
      } catch (error) {
        if (!(error instanceof DecantError)) throw error
        reasons.set(i, error)
      }
    }
    await Promise.all(Array.from({ length: n }, (_, i) => run(() => one(i))))
    const bad = [...reasons]
      .sort(([a], [b]) => a - b)
      .map(([i, error]) => ({ id: idAt(list.paths, at(i)), reason: error.message }))
    if (bad[0] && !skip) throw new DecantError(`${join(uri, bad[0].id)}: unreadable image: ${bad[0].reason}`)

    const kept = Array.from({ length: n }, (_, i) => i).filter((i) => !reasons.has(i))
    if (kept.length < n) for (const [to, i] of kept.entries()) inputs.copyWithin(to * bytes, i * bytes, (i + 1) * bytes)
    return {
      first: n > 0 ? at(0) : 0,
      rows: kept.length,
      ids: pickIds(list.paths, kept.length, (k) => at(kept[k]!)),
      labels: Int32Array.from(kept, (i) => list.labels[at(i)]!),
      inputs: kept.length < n ? inputs.slice(0, kept.length * bytes) : inputs,
      skipped: bad,
    }
  }

  return {
    uri,
    kind: 'images',
    rows,
    options: classesOption(classes),
    input: { kind: 'image', dtype: 'uint8', shape: [size.height, size.width, channels] },
    classes: list.classes,
    topLabel: topOf(list.labels),
    decoder: decoderOf(preprocess),
    fingerprint: await fingerprint(uri, list),
    async *batches(wanted) {
      const range = checkRange(wanted, rows)
      const limit = pLimit(IN_FLIGHT)
      // Enough batches ahead that images of the next one are queued whenever the last ones of this one are being decoded.
      const depth = 1 + Math.ceil(IN_FLIGHT / range.size)
      const make = (first: number, stopped: AbortSignal) => {
        const run: Run = (work) =>
          limit(() => {
            wanted.signal?.throwIfAborted()
            stopped.throwIfAborted()
            return work()
          })
        return gather(Math.min(range.size, range.to - first), (i) => first + i, {
          run,
          skip: wanted.onError === 'skip',
        })
      }
      for await (const made of ahead(batchStarts(range), depth, make)) {
        wanted.signal?.throwIfAborted()
        yield made
      }
    },
    async read(wanted) {
      checkRows(wanted, rows)
      return gather(wanted.length, (i) => wanted[i]!, { run: pLimit(IN_FLIGHT), skip: false })
    },
    close: async () => {},
  }
}

const indices = (list: ImageList) => list.labels.keys()

/** The one size after preprocessing, from the headers. Rows that cannot be read do not count: decoding reports them. */
async function commonSize(uri: string, list: ImageList, preprocess: Preprocess): Promise<Size> {
  let known: { row: number; size: Size } | undefined
  const sizeOf = async (row: number) => {
    if (list.links.has(row)) return undefined
    const size = await readHeader(join(uri, idAt(list.paths, row))).catch(() => undefined)
    return size && { row, size: planGeometry(size, preprocess).result }
  }
  for await (const found of ahead(indices(list), 2 * IN_FLIGHT, sizeOf)) {
    known ??= found
    if (known && found && sizeText(found.size) !== sizeText(known.size)) {
      const [a, b] = [known, found].map(({ row, size }) => `${idAt(list.paths, row)} is ${sizeText(size)}`)
      const after = preprocess.resize ? ' after resizing' : ''
      throw new DecantError(
        `${uri}: images of different sizes: ${a}, ${b}${after}; declare resize or crop in the preprocessing`,
      )
    }
  }
  if (!known) throw new DecantError(`${uri}: none of the ${list.labels.length} images can be read`)
  return known.size
}

/** SHA-256 over one line of JSON a row: path, bytes, SHA-256 of the content. A link that is not followed, or a file without permission, has null for both. */
async function fingerprint(uri: string, list: ImageList): Promise<string> {
  const hash = createHash('sha256')
  const hashFile = async (row: number) => {
    const id = idAt(list.paths, row)
    if (list.links.has(row)) return [id, null, null]
    const content = createHash('sha256')
    let size = 0
    try {
      for await (const block of createReadStream(join(uri, id)) as AsyncIterable<Buffer>) {
        content.update(block)
        size += block.length
      }
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException
      if (code === 'EACCES') return [id, null, null]
      throw new DecantError(`${join(uri, id)}: cannot be read: ${code ?? message}`)
    }
    return [id, size, content.digest('hex')]
  }
  for await (const line of ahead(indices(list), 2 * IN_FLIGHT, hashFile)) hash.update(`${JSON.stringify(line)}\n`)
  return hash.digest('hex')
}
