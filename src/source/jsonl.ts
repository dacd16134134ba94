import { FormatError } from '../errors.js'
import type { Bytes } from './bytes.js'
import { show } from './labels.js'
import { findRecords, startsOf } from './lines.js'
import type { Table } from './table.js'

/** Values parsed take more than their text: lists of small integers most. */
const GROWTH = 4

/** JSON Lines: an object a line, UTF-8. Columns are the keys of the first; one that a later line lacks is null there. A block is about a megabyte of lines. */
export async function openJsonLines(bytes: Bytes): Promise<Table> {
  const { path } = bytes
  const bom = bytes.size >= 3 && Buffer.from(await bytes.read(0, 3)).toString('hex') === 'efbbbf'
  const blocks = await findRecords(bytes, { quotes: false, from: bom ? 3 : 0 })
  if (blocks.length === 0) throw new FormatError(`${path}: empty: expected a JSON object a line`)

  async function read(index: number): Promise<{ records: Record<string, unknown>[]; lines: number[] }> {
    const { offset, bytes: length, line } = blocks[index]!
    const records: Record<string, unknown>[] = []
    const lines: number[] = []
    const text = Buffer.from(await bytes.read(offset, length)).toString('utf8')
    for (const [i, one] of text.split('\n').entries()) {
      if (one === '' || one === '\r') continue
      records.push(parseRecord(one, `${path}: line ${line + i}`))
      lines.push(line + i)
    }
    return { records, lines }
  }

  const { records } = await read(0)
  return {
    path,
    columns: Object.keys(records[0]!),
    starts: startsOf(blocks),
    sha256: bytes.sha256,
    size: bytes.size,
    blockBytes: (index) => GROWTH * blocks[index]!.bytes,
    async block(index, wanted) {
      const { records, lines } = await read(index)
      const columns = wanted.map((name) => records.map((record) => (Object.hasOwn(record, name) ? record[name] : null)))
      return { columns, line: (i) => lines[i]! }
    },
    close: () => bytes.close(),
  }
}

function parseRecord(text: string, where: string): Record<string, unknown> {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (error) {
    throw new FormatError(`${where}: not JSON: ${(error as Error).message.split('\n')[0]}`)
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new FormatError(`${where}: expected a JSON object, found ${show(value)}`)
  return value as Record<string, unknown>
}
