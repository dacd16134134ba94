import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Float32, Int32, Message, makeVector, Table, tableToIPC, Utf8, vectorFromArray } from 'apache-arrow'
import { RecordBatch as BatchMetadata, BufferRegion, FieldNode } from 'apache-arrow/ipc/metadata/message'
import { describe, expect, test } from 'vitest'
import { encapsulate } from '../../src/source/arrow-messages.js'
import { openSource } from '../../src/source/index.js'
import type { OpenOptions } from '../../src/source/source.js'
import { temporaryFolder } from './fixtures.js'

async function read(bytes: Uint8Array, options: OpenOptions) {
  const path = join(await temporaryFolder(), 'a.arrow')
  await writeFile(path, bytes)
  const source = await openSource(path, options)
  try {
    return await source.read([0, 1])
  } finally {
    await source.close()
  }
}

describe('an Arrow file of a few bytes is refused before apache-arrow makes much of it, where', () => {
  test('a column says that it is longer than the record batch: the others would be filled up to it', async () => {
    const columns = { x: vectorFromArray([1, 2], new Float32()), y: vectorFromArray([0, 1], new Int32()) }
    const stream = Buffer.from(tableToIPC(new Table(columns), 'stream'))
    const schema = stream.subarray(0, 8 + stream.readInt32LE(4))
    const regions = [0, 8, 0, 8].map((length, i) => new BufferRegion(8 * (i >> 1), length))
    const batch = (length: number) => {
      const header = new BatchMetadata(2, [new FieldNode(2, 0), new FieldNode(length, 0)], regions, null)
      const message = Message.encode(Message.from(header as never, 16))
      return Buffer.concat([schema, encapsulate(message), Buffer.from(Float32Array.of(1, 2).buffer), Buffer.alloc(8)])
    }
    expect([...(await read(batch(2), { input: 'x' })).inputs]).toEqual([1, 2])
    await expect(read(batch(2 ** 31 - 64), { input: 'x' })).rejects.toThrow(
      "a.arrow: column 'y': 2147483584 values in a record batch of 2 rows",
    )
  })

  test('each text of a column is most of the file', async () => {
    const [rows, letters] = [20_000, 2 ** 16]
    const y = vectorFromArray(['a'.repeat(letters), ...Array(rows - 1).fill('')], new Utf8())
    const file = Buffer.from(tableToIPC(new Table({ x: makeVector(new Float32Array(rows)), y }), 'file'))
    const offsets = file.indexOf(Buffer.from(Int32Array.of(0, letters, letters).buffer))
    for (let i = 2; i < rows; i += 2) file.writeInt32LE(0, offsets + 4 * i)
    await expect(read(file, { input: 'x', label: 'y' })).rejects.toThrow(
      'a.arrow: not a readable Arrow file: texts of more letters than the record batch can hold',
    )
  })
})
