import type { Block, Table } from './table.js'

/** Bytes of blocks kept, and at least so many blocks: the one in use and the one read ahead. */
const KEPT = { bytes: 2 ** 28, blocks: 2 }
/** Rows of a block that are cheaper read by themselves, where the format can: fewer than this share of it. */
const FEW = 1 / 16

/** A row in one of several tables. */
export interface Place {
  table: number
  block: number
  /** Within the table. */
  row: number
}

export interface Row {
  cells: unknown[]
  /** Of the file, where it has lines. */
  line(): number | undefined
}

/** Several tables as one, of which the same columns are read; keeps the blocks used last. */
export class BlockCache {
  readonly rows: number
  /** First row of each table, and after them the number of rows. */
  private readonly firsts = [0]
  private readonly kept = new Map<string, { block: Promise<Block>; bytes: number }>()
  private bytes = 0
  /** All blocks can be kept: then each is read once, and whole. */
  private readonly fits: boolean

  constructor(
    private readonly tables: Table[],
    private readonly columns: string[],
  ) {
    for (const { starts } of tables) this.firsts.push(this.firsts.at(-1)! + starts.at(-1)!)
    this.rows = this.firsts.at(-1)!
    let room = KEPT.bytes
    for (const table of tables)
      for (let index = 0; index + 1 < table.starts.length && room >= 0; index++)
        room -= table.blockBytes(index, columns)
    this.fits = room >= 0
  }

  locate(index: number): Place {
    const table = lastNotAbove(this.firsts, index)
    const row = index - this.firsts[table]!
    return { table, row, block: lastNotAbove(this.tables[table]!.starts, row) }
  }

  /**
   * Cells of rows, in the order given. Each block is read once; or where few of its rows are `scattered`, not all blocks can be kept,
   * and the format can, those without the rest.
   * @throws FormatError
   */
  async read(places: Place[], { scattered }: { scattered: boolean }): Promise<Row[]> {
    const groups = new Map<string, { place: Place; at: number[] }>()
    for (const [i, place] of places.entries()) {
      const key = `${place.table}:${place.block}`
      const group = groups.get(key)
      if (group) group.at.push(i)
      else groups.set(key, { place, at: [i] })
    }
    const rows: Row[] = new Array(places.length)
    const one = async (key: string, { place, at }: { place: Place; at: number[] }) => {
      const { table, block } = place
      const { starts, pick } = this.tables[table]!
      const [first, end] = [starts[block]!, starts[block + 1]!]
      if (scattered && pick && !this.fits && !this.kept.has(key) && at.length < (end - first) * FEW) {
        const picked = await pick(
          block,
          at.map((i) => places[i]!.row),
          this.columns,
        )
        for (const [n, i] of at.entries()) rows[i] = rowOf(picked, n)
        return
      }
      const whole = await this.block(key, place)
      for (const i of at) rows[i] = rowOf(whole, places[i]!.row - first)
    }
    // A few blocks at once: scattered rows may lie in thousands.
    const waiting = groups.entries()
    const worker = async () => {
      for (const [key, group] of waiting) await one(key, group)
    }
    await Promise.all([worker(), worker()])
    return rows
  }

  private block(key: string, { table, block: index }: Place): Promise<Block> {
    const known = this.kept.get(key)
    if (known) this.forget(key)
    const source = this.tables[table]!
    const entry = known ?? {
      block: source.block(index, this.columns),
      bytes: source.blockBytes(index, this.columns),
    }
    if (!known) entry.block.catch(() => this.forget(key))
    this.kept.set(key, entry)
    this.bytes += entry.bytes
    for (const [oldest] of this.kept) if (this.bytes > KEPT.bytes && this.kept.size > KEPT.blocks) this.forget(oldest)
    return entry.block
  }

  private forget(key: string): void {
    this.bytes -= this.kept.get(key)?.bytes ?? 0
    this.kept.delete(key)
  }
}

function rowOf({ columns, line }: Block, i: number): Row {
  return { cells: columns.map((column) => column[i]), line: () => line?.(i) }
}

/** The last place whose entry is not above `value`; entries ascend, and the last of them is above it. */
function lastNotAbove(entries: number[], value: number): number {
  let [low, high] = [0, entries.length - 1]
  while (high - low > 1) {
    const middle = (low + high) >> 1
    if (entries[middle]! <= value) low = middle
    else high = middle
  }
  return low
}
