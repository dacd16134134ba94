import { createHash } from 'node:crypto'
import { DecantError, FormatError } from '../errors.js'
import type { Block } from './arrow.js'
import { outOfRange, type Stored } from './columns.js'
import type { InputFile } from './dataset-files.js'
import { diskError } from './files.js'
import type { IdColumn } from './ids.js'
import { MAX_ID_BYTES } from './manifest.js'
import {
  type BatchLayout,
  footerRegion,
  parseBatch,
  parseFooter,
  type Region,
  type ShardShape,
  TAIL_BYTES,
} from './shard-layout.js'

/** Bytes of ids that are read before their offsets say how many there are. */
const MAX_UNSEEN_BYTES = 2 ** 20

/** Batches behind those that are read whole of which the metadata is read at once: a body's read would wait for it. */
const METADATA_AHEAD = 4

/** One shard, open for reading: any range of its rows, reading only their bytes. Nothing in the file is trusted. */
export class ShardFile {
  private readonly batches = new Map<number, Promise<BatchLayout>>()

  private constructor(
    readonly path: string,
    private readonly file: InputFile,
    private readonly shape: ShardShape,
    private readonly blocks: Block[],
  ) {}

  /** Takes `file` over: it is closed with the shard. @throws FormatError where it is not what the manifest (`shape`) says */
  static async open(path: string, file: InputFile, shape: ShardShape): Promise<ShardFile> {
    try {
      const { size } = file
      if (size !== shape.bytes) throw new FormatError(`${path}: expected ${shape.bytes} bytes, found ${size}`)
      const blocks = await checked(path, async () => {
        const tail = await readRegion(file, { at: Math.max(0, size - TAIL_BYTES), bytes: TAIL_BYTES })
        return parseFooter(await readRegion(file, footerRegion(tail, size)), shape)
      })
      return new ShardFile(path, file, shape, blocks)
    } catch (error) {
      await file.close()
      throw error
    }
  }

  /** @throws FormatError where the file's SHA-256 is another */
  verify(sha256: string, signal?: AbortSignal): Promise<void> {
    return checkHash(this.path, this.file, { sha256, signal })
  }

  /** Rows [from, to) of the shard into `labels` [to - from] and `columns`, behind id and label, those without room aside; gives their ids. */
  async read(options: { from: number; to: number; labels: Int32Array; columns: Stored[] }): Promise<IdColumn[]> {
    const { from, to, labels, columns } = options
    const ids: IdColumn[] = []
    if (columns.every(({ length }) => length > 0)) this.expect(from, to)
    for await (const { batch, first, last, at } of this.parts(from, to)) {
      const end = at + last - first
      const [column] = await checked(this.path, () =>
        Promise.all([
          this.readIds(batch, first, last),
          this.readLabels(batch, first, labels.subarray(at, end)),
          ...columns.map(async (values, column) => {
            if (values.length === 0) return
            const { width } = this.shape.columns[column]!
            await this.readColumn(batch, { column, first, into: values.subarray(at * width, end * width) })
          }),
        ]),
      )
      ids.push(column)
    }
    return ids
  }

  /** The row of this id; undefined where there is none. Reads the ids alone. */
  async find(id: Uint8Array): Promise<number | undefined> {
    for await (const { batch, first, last, at } of this.parts(0, this.shape.rows)) {
      const ids = await checked(this.path, () => this.readIds(batch, first, last))
      const index = indexOf(ids, id)
      if (index >= 0) return at + index
    }
    return undefined
  }

  close(): Promise<void> {
    return this.file.close()
  }

  /** The batches that rows [from, to) lie in: rows [first, last) of each, which are rows `at` and on of those asked for. */
  private async *parts(from: number, to: number) {
    const { rowsPerBatch } = this.shape
    for (let row = from; row < to; ) {
      const index = Math.floor(row / rowsPerBatch)
      const batch = await this.batch(index)
      const first = row - index * rowsPerBatch
      const last = Math.min(batch.rows, to - index * rowsPerBatch)
      yield { batch, first, last, at: row - from }
      row += last - first
    }
  }

  /** Of batches that are read whole, or nearly, all bytes are in demand, and those behind them soon; of others what is read will show. */
  private expect(from: number, to: number): void {
    const { rowsPerBatch } = this.shape
    if (to - from < rowsPerBatch / 2) return
    const first = this.blocks[Math.floor(from / rowsPerBatch)]!
    const end = Math.ceil(to / rowsPerBatch)
    const last = this.blocks[end - 1]!
    this.file.expect?.(first.offset, last.offset + last.metadataBytes + last.bodyBytes)
    for (let i = end; i < Math.min(end + METADATA_AHEAD, this.blocks.length); i++) void this.batch(i)
  }

  private batch(index: number): Promise<BatchLayout> {
    const known = this.batches.get(index)
    if (known !== undefined) return known
    const batch = this.readBatch(index)
    this.batches.set(index, batch)
    batch.catch(() => this.batches.delete(index)) // whoever awaits it is told; who asks later has it read again
    return batch
  }

  private readBatch(index: number): Promise<BatchLayout> {
    const block = this.blocks[index]!
    return checked(`${this.path}: record batch ${index}`, async () => {
      const metadata = await readRegion(this.file, { at: block.offset, bytes: block.metadataBytes })
      return parseBatch(metadata, { block, index, shape: this.shape })
    })
  }

  private async readIds(batch: BatchLayout, first: number, last: number): Promise<IdColumn> {
    const { idOffsets, idBytes } = batch
    const offsets = new Int32Array(last - first + 1)
    // Which bytes are ids' own is seen from the offsets; of a whole batch it is all of them, so that one call reads both.
    const whole = last - first === batch.rows && idBytes.bytes <= MAX_UNSEEN_BYTES
    const [all] = await Promise.all([
      whole ? readRegion(this.file, idBytes) : undefined,
      readInto(this.file, idOffsets.at + 4 * first, offsets),
    ])
    const start = offsets[0]!
    const bytes = offsets.at(-1)! - start
    if (start < 0 || start + bytes > idBytes.bytes) throw new Error('ids lie outside their buffer')
    for (let i = 0, previous = start; i < offsets.length; i++) {
      const length = offsets[i]! - previous
      if (length < 0 || length > MAX_ID_BYTES)
        throw new Error(`an id of ${length} bytes, expected at most ${MAX_ID_BYTES}`)
      previous = offsets[i]!
      offsets[i]! -= start
    }
    return {
      offsets,
      bytes: all?.subarray(start, start + bytes) ?? (await readRegion(this.file, { at: idBytes.at + start, bytes })),
    }
  }

  private async readLabels(batch: BatchLayout, first: number, into: Int32Array): Promise<void> {
    const { labels, labelValidity } = batch
    const skip = first >> 3
    const [validity] = await Promise.all([
      labelValidity &&
        readRegion(this.file, {
          at: labelValidity.at + skip,
          bytes: Math.ceil((first + into.length) / 8) - skip,
        }),
      readInto(this.file, labels.at + 4 * first, into),
    ])
    for (let i = 0; i < into.length; i++) {
      const bit = first + i - 8 * skip
      if (validity && !((validity[bit >> 3]! >> (bit & 7)) & 1)) into[i] = -1
      else if (into[i]! < 0 || into[i]! >= this.shape.classes)
        throw new Error(`label ${into[i]}, expected 0 to ${this.shape.classes - 1}`)
    }
  }

  private async readColumn(
    batch: BatchLayout,
    { column, first, into }: { column: number; first: number; into: Stored },
  ): Promise<void> {
    const kind = this.shape.columns[column]!
    await readInto(this.file, batch.columns[column]!.at + first * kind.width * into.BYTES_PER_ELEMENT, into)
    const wrong = outOfRange(into, kind)
    if (wrong !== undefined) throw new Error(`${kind.name} ${wrong}, expected 0 to ${kind.below! - 1}`)
  }
}

/** The row whose id has these bytes, or -1. Ids of a dataset mostly differ in their last characters, so those are looked at first. */
function indexOf({ offsets, bytes }: IdColumn, id: Uint8Array): number {
  const length = id.length
  for (let row = 0; row + 1 < offsets.length; row++) {
    const start = offsets[row]!
    if (offsets[row + 1]! - start !== length) continue
    let i = length - 1
    while (i >= 0 && bytes[start + i] === id[i]) i--
    if (i < 0) return row
  }
  return -1
}

/** @throws FormatError where the file's SHA-256 is another */
export async function checkHash(
  path: string,
  file: InputFile,
  { sha256, signal }: { sha256: string; signal?: AbortSignal | undefined },
): Promise<void> {
  const hash = createHash('sha256')
  const piece = new Uint8Array(Math.min(file.size, HASHED_BYTES))
  file.expect?.(0, file.size)
  await checked(path, async () => {
    for (let at = 0; at < file.size; at += piece.length) {
      signal?.throwIfAborted()
      const part = piece.subarray(0, file.size - at)
      await file.read(part, at)
      hash.update(part)
    }
  })
  const found = hash.digest('hex')
  if (found !== sha256) throw new FormatError(`${path}: damaged or altered: expected SHA-256 ${sha256}, found ${found}`)
}

/** Read and hashed at once. */
const HASHED_BYTES = 4 * 2 ** 20

async function readRegion(file: InputFile, { at, bytes }: Region): Promise<Uint8Array> {
  const into = new Uint8Array(bytes)
  await readInto(file, at, into)
  return into
}

const readInto = (file: InputFile, position: number, into: ArrayBufferView): Promise<void> =>
  file.read(new Uint8Array(into.buffer, into.byteOffset, into.byteLength), position)

/** Whatever goes wrong in parsing hostile bytes (out of range, above all) becomes a FormatError that names the place. */
async function checked<T>(place: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (error instanceof DecantError || (error as Error).name === 'AbortError') throw error
    if ((error as NodeJS.ErrnoException).syscall) throw diskError(error, place)
    throw new FormatError(`${place}: ${(error as Error).message}`)
  }
}
