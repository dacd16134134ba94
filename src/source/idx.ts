import { constants } from 'node:buffer'
import { createHash } from 'node:crypto'
import { stat } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import pLimit from 'p-limit'
import { DecantError, FormatError } from '../errors.js'
import { openInput } from '../input-file.js'
import { ahead, batchStarts, checkRange, checkRows } from './batching.js'
import { BufferPool } from './buffers.js'
import { grayToRgb } from './channels.js'
import type { LabelClasses } from './class-finder.js'
import type { FileRows } from './file-rows.js'
import { planGeometry } from './geometry.js'
import { decimalIds } from './ids.js'
import { type IdxFile, readAt, scanIdx, streamData } from './idx-file.js'
import { LabelColumn, topOf } from './labels.js'
import { classesOption } from './options.js'
import { IN_FLIGHT, transformPixels } from './pixels.js'
import type { Preprocess } from './preprocess.js'
import { RESAMPLER } from './resample/index.js'
import type { Batch, BatchOptions, Source } from './source.js'
import { channelsOf } from './transform.js'

/** Blocks read ahead of the consumer: one that waits while one is read keeps a disk busy. */
const DEPTH = 2

/**
 * An IDX source: gray images [n, height, width] of bytes and, where there is a label file, a label each. Ids are decimal row numbers.
 * Uncompressed images are read by position, a block a batch, never whole. Gzip is streamed: `batches` from a later row decompresses what comes before it,
 * and the first `read` decompresses all of it into memory, where it stays until `close`. Labels are held in memory, four bytes each.
 * @throws see openSource
 */
export async function openIdx(
  uri: string,
  options: { preprocess: Preprocess; labels: string | undefined; classes: LabelClasses | undefined },
): Promise<Source> {
  const { preprocess, classes } = options
  const hash = createHash('sha256')
  const file = await scanIdx(uri, { rank: 3, hash })
  const [rows, height, width] = file.dims as [number, number, number]
  const labelPath = options.labels ?? (await findLabels(uri))
  const labels = labelPath === undefined ? undefined : await readLabels(labelPath, { uri, rows, hash, classes })

  const channels = channelsOf(preprocess, 1)
  const { result, ...moves } = planGeometry({ width, height }, preprocess)
  const transform = Object.keys(moves).length > 0 ? move : channels === 3 ? grayToRgb : undefined
  const pixels = height * width
  const limit = pLimit(IN_FLIGHT)

  async function move(raw: Uint8Array): Promise<Uint8Array> {
    const bytes = result.width * result.height * channels
    const inputs = new Uint8Array((raw.length / pixels) * bytes)
    const one = async (_: unknown, i: number) => {
      const image = raw.subarray(i * pixels, (i + 1) * pixels)
      inputs.set(await limit(() => transformPixels(image, { width, height }, preprocess, channels)), i * bytes)
    }
    await Promise.all(Array.from({ length: raw.length / pixels }, one))
    return inputs
  }

  async function batch(n: number, at: (i: number) => number, raw: Uint8Array): Promise<Batch> {
    const own = new Int32Array(n).fill(-1)
    if (labels) for (let i = 0; i < n; i++) own[i] = labels[at(i)]!
    return {
      first: at(0),
      rows: n,
      ids: decimalIds(n, at),
      labels: own,
      inputs: transform ? await transform(raw) : raw,
      skipped: [],
    }
  }

  const data = file.gz ? streamed(file, pixels) : await direct(file, pixels)
  return {
    uri,
    kind: 'idx',
    rows,
    options: { ...(options.labels !== undefined && { labels: options.labels }), ...classesOption(classes) },
    input: { kind: 'image', dtype: 'uint8', shape: [result.height, result.width, channels] },
    classes: classes?.names && [...classes.names],
    topLabel: labels ? topOf(labels) : -1,
    decoder: moves.resize ? RESAMPLER : undefined,
    fingerprint: hash.digest('hex'),
    inFile: transform ? undefined : data.inFile,
    async *batches(wanted: BatchOptions) {
      const range = checkRange(wanted, rows)
      const rowsAt = (first: number) => Math.min(range.size, range.to - first)
      if (wanted.inputs === false) {
        for (const first of batchStarts(range)) {
          wanted.signal?.throwIfAborted()
          yield batch(rowsAt(first), (i) => first + i, NONE)
        }
        return
      }
      const blocks = await data.blocks({ ...range, buffers: wanted.buffers })
      try {
        const make = async (first: number) => {
          wanted.signal?.throwIfAborted()
          return batch(rowsAt(first), (i) => first + i, await blocks.next(first, rowsAt(first)))
        }
        for await (const made of ahead(batchStarts(range), DEPTH, make)) {
          wanted.signal?.throwIfAborted()
          yield made
        }
      } finally {
        await blocks.close()
      }
    },
    async read(wanted) {
      checkRows(wanted, rows)
      const picked = await data.pick(wanted)
      return { ...(await batch(wanted.length, (i) => wanted[i]!, picked)), first: wanted[0] ?? 0 }
    },
    close: () => data.close(),
  }
}

/** Raw rows of `pixels` bytes out of an IDX file. `next` is called for consecutive blocks and may be called before the last one has come. */
interface Rows {
  blocks(range: {
    from: number
    to: number
    buffers?: BufferPool | undefined
  }): Promise<{ next(first: number, n: number): Promise<Uint8Array>; close(): Promise<void> }>
  pick(rows: ArrayLike<number>): Promise<Uint8Array>
  inFile?: FileRows
  close(): Promise<void>
}

const NONE = new Uint8Array(0)

async function direct({ path, offset }: IdxFile, pixels: number): Promise<Rows> {
  const handle = await openInput(path)
  const readRows = (target: Uint8Array, first: number) =>
    readAt(handle, target, { path, position: offset + first * pixels })
  return {
    blocks: async ({ buffers = new BufferPool(0) }) => ({
      async next(first, n) {
        const block = buffers.take(n * pixels) // filled whole, or an error
        await readRows(block, first)
        return block
      },
      close: async () => {},
    }),
    async pick(rows) {
      const picked = new Uint8Array(rows.length * pixels)
      const reads: Promise<void>[] = []
      for (let i = 0, run = 1; i < rows.length; i += run) {
        for (run = 1; i + run < rows.length && rows[i + run] === rows[i]! + run; ) run++
        reads.push(readRows(picked.subarray(i * pixels, (i + run) * pixels), rows[i]!))
      }
      await Promise.all(reads)
      return picked
    },
    inFile: { path, fd: handle.fd, position: offset, bytes: pixels },
    close: () => handle.close(),
  }
}

function streamed(file: IdxFile, pixels: number): Rows {
  const total = file.dims[0]!
  let whole: Promise<Uint8Array> | undefined
  const load = async () => {
    if (total * pixels > constants.MAX_LENGTH)
      throw new DecantError(
        `${file.path}: ${total * pixels} bytes are too many to hold for reading single rows; decompress the file with gunzip`,
      )
    const stream = await streamData(file)
    try {
      const data = new Uint8Array(total * pixels)
      await stream.fill(data)
      await stream.end()
      return data
    } finally {
      await stream.close()
    }
  }
  return {
    async blocks({ from }) {
      const stream = await streamData(file)
      let turn: Promise<unknown> = stream.skip(from * pixels)
      turn.catch(() => {}) // the blocks that follow report it
      return {
        next(first, n) {
          const block = turn.then(async () => {
            const target = new Uint8Array(n * pixels)
            await stream.fill(target)
            if (first + n === total) await stream.end()
            return target
          })
          turn = block
          return block
        },
        close: () => stream.close(),
      }
    },
    async pick(rows) {
      whole ??= load()
      const data = await whole
      const picked = new Uint8Array(rows.length * pixels)
      for (let i = 0; i < rows.length; i++)
        picked.set(data.subarray(rows[i]! * pixels, (rows[i]! + 1) * pixels), i * pixels)
      return picked
    },
    async close() {
      whole = undefined
    },
  }
}

/** `…-images-idx3-ubyte[.gz]` has its labels in `…-labels-idx1-ubyte[.gz]` beside it (also spelt `images.idx3-ubyte`). */
async function findLabels(uri: string): Promise<string | undefined> {
  const name = /^(.*)images([-.])idx3-ubyte(\.gz)?$/.exec(basename(uri))
  if (!name) return undefined
  const plain = join(dirname(uri), `${name[1]}labels${name[2]}idx1-ubyte`)
  for (const path of name[3] ? [`${plain}.gz`, plain] : [plain, `${plain}.gz`])
    if ((await stat(path).catch(() => undefined))?.isFile()) return path
  return undefined
}

async function readLabels(
  path: string,
  images: { uri: string; rows: number; hash: ReturnType<typeof createHash>; classes: LabelClasses | undefined },
): Promise<Int32Array> {
  const column = new LabelColumn(images.rows, { classes: images.classes })
  await scanIdx(path, {
    rank: 1,
    hash: images.hash,
    onHeader([count]) {
      if (count !== images.rows)
        throw new FormatError(`${path}: ${count} labels, but ${images.uri} has ${images.rows} images`)
    },
    onData(block, at) {
      for (const [i, label] of block.entries()) {
        const problem = column.add(label)
        if (problem !== undefined) throw new FormatError(`${path}: label ${at + i}: ${problem}`)
      }
    },
  })
  return column.finish().labels
}
