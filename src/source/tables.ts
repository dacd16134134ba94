import { createHash } from 'node:crypto'
import { basename } from 'node:path'
import pLimit from 'p-limit'
import { DecantError, FormatError } from '../errors.js'
import { ahead, batchStarts, checkRange, checkRows } from './batching.js'
import { BlockCache, type Place, type Row } from './block-cache.js'
import { joinCategories } from './categories.js'
import { type CellReader, chooseReader } from './cells.js'
import { type LabelClasses, listed } from './class-finder.js'
import type { TableKind } from './files.js'
import { joinIds } from './ids.js'
import { LabelColumn, show, topOf } from './labels.js'
import { dig, findColumns, openTable } from './open-table.js'
import { classesOption, type SourceOptions } from './options.js'
import type { Preprocess } from './preprocess.js'
import type { Batch, Inputs, OpenOptions, Source } from './source.js'
import { type Block, isList, type Table } from './table.js'
import { KEY } from './webdataset.js'

type Run = (work: () => Promise<void>) => Promise<void>
type Chosen = { input: string[]; label: string | undefined; id: string | undefined; mask: string | undefined }

/** What Hugging Face's tokenizers and data sets call the ids of a text and their mask. */
const [IDS, MASK] = ['input_ids', 'attention_mask']
/** As the cache allows. */
const MAX_ID_BYTES = 1024
/** Files opened (read and hashed) at once. */
const OPENING = 2
/** As many rows as a dataset may have skipped; so many without a label that can be read are another column. */
const MAX_UNREAD = 1_000_000
/** Rows looked at for one that has an input, from which the kind of the source is taken. */
const LOOKED_AT = 1000

/**
 * Files of rows with columns, one after another. Ids come from the column `id`, else they are `<file>:<row>` (WebDataset: `<file>/<sample>`). The labels of all rows
 * are read when it is opened and held, four bytes a row; inputs are read block by block.
 * @throws see openSource
 */
export async function openTables(
  uri: string,
  files: string[],
  {
    preprocess,
    kind,
    skip,
    classes,
    attentionMask,
    ...options
  }: { preprocess: Preprocess; kind: TableKind; skip: boolean; classes: LabelClasses | undefined } & Omit<
    OpenOptions,
    'classes' | 'preprocess' | 'onError'
  >,
): Promise<Source> {
  const declared = typeof options.input === 'string' ? [options.input] : (options.input ?? [])
  const mask = attentionMask ?? (declared.join() === IDS ? MASK : false)
  const named = [...declared, options.label, options.id, mask || undefined].filter((name) => name !== undefined)
  const wanted = (kind === 'npz' && declared.length === 0 ? [] : named) as string[]
  if (options.id === undefined) refuseSameNames(files)
  const tables: Table[] = []
  const opened: { close(): unknown }[] = [] // more than `tables` where a later file was open when an earlier one failed
  const open = async (file: string, kind: TableKind, wanted: string[]) => {
    const table = await openTable(file, kind, { wanted, names: classes?.names !== undefined })
    opened.push(table)
    return table
  }
  const close = async () => {
    await Promise.all(opened.map((one) => one.close()))
  }
  try {
    for await (const table of ahead(files, OPENING, (file) => open(file, kind, wanted))) tables.push(table)
    if (options.labels !== undefined) {
      refuseLabels(tables, options.labels, kind)
      tables[0] = withLabels(tables[0]!, await open(options.labels, 'npy', []), options.labels)
    }
    const chosen = chooseColumns(tables[0]!, { ...options, attentionMask })
    return await assemble({
      uri,
      kind,
      tables,
      chosen,
      preprocess,
      skip,
      classes,
      options: {
        ...options,
        ...(chosen.mask !== undefined && { attentionMask: chosen.mask }),
        ...(files.length > 1 && { files }),
        ...classesOption(classes),
      },
      onReader: (reader) => opened.push({ close: () => reader.close?.() }),
      close,
    })
  } catch (error) {
    await close()
    throw error
  }
}

const LABELS = 'label'

function checkId(id: Buffer, where: string): Buffer {
  if (id.length === 0 || id.length > MAX_ID_BYTES)
    throw new FormatError(`${where}: an id of ${id.length} bytes, expected 1 to ${MAX_ID_BYTES}`)
  return id
}

/** Ids are `<file>:<row>`, so two files of one name would give an id twice. */
function refuseSameNames(files: string[]): void {
  const seen = new Map<string, string>()
  for (const file of files) {
    const before = seen.get(basename(file))
    if (before !== undefined)
      throw new DecantError(
        `${before} and ${file} have one name, which ids begin with: say with --id which column has ids`,
      )
    seen.set(basename(file), file)
  }
}

function refuseLabels(tables: Table[], path: string, kind: TableKind): void {
  if (kind !== 'npy' || tables.length !== 1)
    throw new DecantError(`${path}: a label file goes with an IDX or NPY file; in other sources labels are a column`)
}

/** The labels of an NPY file in a second one, as a column beside it. */
function withLabels(table: Table, labels: Table, path: string): Table {
  const [rows, found] = [table.starts.at(-1), labels.starts.at(-1)]
  if (rows !== found) throw new FormatError(`${path}: ${found} labels, but ${table.path} has ${rows} rows`)
  return {
    ...table,
    columns: [...table.columns, LABELS],
    sha256: createHash('sha256').update(table.sha256).update(labels.sha256).digest('hex'),
    arrayOf: (column) => (column === LABELS ? labels.arrayOf?.(labels.columns[0]!) : table.arrayOf?.(column)),
    blockBytes: (index, wanted) => table.blockBytes(index, others(wanted)),
    block: (index, wanted) =>
      join(wanted, table.block(index, others(wanted)), () =>
        readSpan(labels, table.starts[index]!, table.starts[index + 1]!),
      ),
    ...(table.pick && {
      pick: (index, picked, wanted) =>
        join(wanted, table.pick!(index, picked, others(wanted)), async () =>
          (await Promise.all(picked.map((row) => readSpan(labels, row, row + 1)))).flat(),
        ),
    }),
  }
}

const others = (columns: string[]) => columns.filter((column) => column !== LABELS)

/** The columns of a block, labels among them where they are wanted. */
async function join(wanted: string[], block: Promise<Block>, labels: () => Promise<unknown[]>): Promise<Block> {
  const own = await block
  let at = 0
  return {
    columns: await Promise.all(wanted.map((name) => (name === LABELS ? labels() : own.columns[at++]!))),
  }
}

/** Rows [from, to) of a table's one column, whatever its own blocks are. */
async function readSpan(table: Table, from: number, to: number): Promise<unknown[]> {
  const cache = new BlockCache([table], table.columns)
  const places = Array.from({ length: to - from }, (_, i) => cache.locate(from + i))
  return (await cache.read(places, { scattered: false })).map(({ cells }) => cells[0])
}

function chooseColumns(
  table: Table,
  options: Pick<OpenOptions, 'input' | 'label' | 'labels' | 'id' | 'attentionMask'>,
): Chosen {
  const { usual } = table
  const only = table.columns.length === 1 || options.labels !== undefined ? table.columns[0] : undefined
  const input = options.input ?? usual?.input ?? only
  if (input === undefined)
    throw new DecantError(
      `${table.path}: say which column is the input (--input); it has ${table.columns.map((column) => `'${column}'`).join(', ') || 'none'}`,
    )
  return {
    input: typeof input === 'string' ? [input] : input,
    label: options.label ?? (options.labels !== undefined ? LABELS : usual?.label),
    id: options.id,
    mask: maskBeside(table, input, options.attentionMask),
  }
}

function maskBeside(table: Table, input: string | string[], given: string | false | undefined): string | undefined {
  if (given !== undefined) return given || undefined
  return [input].flat().join() === IDS && table.columns.includes(MASK) ? MASK : undefined
}

async function assemble(setting: {
  uri: string
  kind: TableKind
  tables: Table[]
  chosen: Chosen
  preprocess: Preprocess
  /** Labels that cannot be read are no error before their rows are read. */
  skip: boolean
  classes: LabelClasses | undefined
  options: SourceOptions
  /** Hears of the reader as soon as it is open. */
  onReader: (reader: CellReader) => void
  close: () => Promise<void>
}): Promise<Source> {
  const { uri, kind, tables, chosen, preprocess, options, onReader, close } = setting
  const read = chosen.mask === undefined ? chosen.input : [...chosen.input, chosen.mask]
  const names = [...read, ...(chosen.id === undefined ? (kind === 'webdataset' ? [KEY] : []) : [chosen.id])]
  const paths = columnsIn(tables, names)
  const cache = new BlockCache(
    tables,
    paths.map(({ column }) => column),
  )
  const rows = cache.rows
  if (rows === 0) throw new DecantError(`${uri}: no rows in it`)
  const inputs = read.length
  const files = tables.map(({ path }) => Buffer.from(basename(path)))
  const cellsOf = ({ cells }: Row) => cells.map((cell, i) => dig(cell, paths[i]!.keys))
  const where = ({ table, row }: Place, line?: number) =>
    `${tables[table]!.path}: row ${row}${line === undefined ? '' : ` (line ${line})`}`

  for (const { column: name, keys } of paths.slice(0, chosen.input.length)) {
    const shapes = tables.map((table) => JSON.stringify((keys.length === 0 && table.arrayOf?.(name)) || null))
    const other = shapes.findIndex((shape) => shape !== shapes[0])
    if (other >= 0)
      throw new FormatError(
        `${tables[other]!.path}: '${name}' is ${shapes[other]}, in ${tables[0]!.path} it is ${shapes[0]}`,
      )
  }
  const reader = await firstReader()
  onReader(reader)
  const width = reader.input.shape.reduce((product, n) => product * n, 1)
  const { labels, classes, unread } = await readLabels(tables, chosen.label, setting)

  async function firstReader(): Promise<CellReader> {
    const arrays = paths
      .slice(0, inputs)
      .map(({ column, keys }) => (keys.length === 0 ? tables[0]!.arrayOf?.(column) : undefined))
    const places = Array.from({ length: Math.min(rows, LOOKED_AT) }, (_, i) => cache.locate(i))
    const common = { preprocess, columns: chosen.input, arrays, mask: chosen.mask }
    let place = places[0]!
    let why: DecantError | undefined
    try {
      for (place of places) {
        const [row] = await cache.read([place], { scattered: false })
        const first = cellsOf(row!).slice(0, inputs)
        why ??= first.find((cell) => cell instanceof DecantError)
        if (first.every((cell) => cell !== null && cell !== undefined && !(cell instanceof DecantError)))
          return await chooseReader({ ...common, first })
      }
    } catch (error) {
      const named = ['preprocess', tables[place.table]!.path, preprocess.text?.tokenizer ?? 'preprocess']
      if (error instanceof DecantError && !named.some((what) => error.message.startsWith(what)))
        throw new FormatError(`${where(place)}: ${error.message}`, { cause: error })
      throw error
    }
    throw new FormatError(
      `${uri}: the first ${places.length} rows have no input in column '${chosen.input[0]}'${why ? `: ${why.message}` : ''}`,
    )
  }

  function idOf(place: Place, cells: unknown[]): Uint8Array {
    const own = cells[inputs]
    if (chosen.id === undefined) {
      const behind = kind === 'webdataset' ? `/${own}` : `:${place.row}`
      return checkId(Buffer.concat([files[place.table]!, Buffer.from(behind)]), 'the row')
    }
    if (own instanceof DecantError) throw own
    if (!['string', 'number', 'bigint'].includes(typeof own))
      throw new FormatError(`column '${chosen.id}': expected an id, found ${show(own)}`)
    return checkId(Buffer.from(String(own)), `column '${chosen.id}'`)
  }

  async function gather(
    n: number,
    at: (i: number) => number,
    how: { run: Run; skip: boolean; scattered: boolean },
  ): Promise<Batch> {
    const places = Array.from({ length: n }, (_, i) => cache.locate(at(i)))
    const found = await cache.read(places, how)
    const ids: Uint8Array[] = []
    const data = allocate(reader.input.dtype, n * width)
    const reasons = new Map<number, DecantError>()
    const one = async (i: number) => {
      if (reasons.size > 0 && !how.skip) return
      const cells = cellsOf(found[i]!)
      ids[i] = Buffer.concat([files[places[i]!.table]!, Buffer.from(`:${places[i]!.row}`)])
      try {
        ids[i] = idOf(places[i]!, cells)
        const unreadable = cells.find((cell) => cell instanceof DecantError) ?? unread.get(at(i))
        if (unreadable) throw unreadable
        await reader.read(cells.slice(0, inputs), data.subarray(i * width, (i + 1) * width))
      } catch (error) {
        if (!(error instanceof DecantError)) throw error
        reasons.set(i, error)
      }
    }
    if (reader.atOnce > 1) await Promise.all(Array.from({ length: n }, (_, i) => how.run(() => one(i))))
    else
      await how.run(async () => {
        for (let i = 0; i < n; i++) await one(i)
      })

    const bad = [...reasons.keys()].sort((a, b) => a - b)
    if (bad[0] !== undefined && !how.skip)
      throw new FormatError(`${where(places[bad[0]]!, found[bad[0]]!.line())}: ${reasons.get(bad[0])!.message}`, {
        cause: reasons.get(bad[0]),
      })
    const kept = Array.from({ length: n }, (_, i) => i).filter((i) => !reasons.has(i))
    if (kept.length < n) for (const [to, i] of kept.entries()) data.copyWithin(to * width, i * width, (i + 1) * width)
    return {
      first: n > 0 ? at(0) : 0,
      rows: kept.length,
      ids: joinIds(kept.map((i) => ids[i]!)),
      labels: Int32Array.from(kept, (i) => labels?.[at(i)] ?? -1),
      inputs: kept.length < n ? data.slice(0, kept.length * width) : data,
      skipped: bad.map((i) => ({ id: String(ids[i]), reason: reasons.get(i)!.message.slice(0, 1000) })),
    }
  }

  return {
    uri,
    options,
    kind,
    rows,
    input: reader.input,
    classes,
    topLabel: labels ? topOf(labels) : -1,
    decoder: reader.decoder,
    pad: reader.pad,
    vocabulary: reader.vocabulary,
    fingerprint: fingerprint(tables, chosen),
    async *batches(asked) {
      const range = checkRange(asked, rows)
      const limit = pLimit(reader.atOnce)
      const depth = 1 + Math.ceil(reader.atOnce / range.size)
      const make = (first: number, stopped: AbortSignal) => {
        const run: Run = (work) =>
          limit(() => {
            asked.signal?.throwIfAborted()
            stopped.throwIfAborted()
            return work()
          })
        const n = Math.min(range.size, range.to - first)
        return gather(n, (i) => first + i, { run, skip: asked.onError === 'skip', scattered: false })
      }
      for await (const made of ahead(batchStarts(range), depth, make)) {
        asked.signal?.throwIfAborted()
        yield made
      }
    },
    async read(asked) {
      checkRows(asked, rows)
      return gather(asked.length, (i) => asked[i]!, { run: pLimit(reader.atOnce), skip: false, scattered: true })
    },
    close,
  }
}

const allocate = (dtype: 'uint8' | 'float32' | 'int32', n: number): Inputs =>
  dtype === 'uint8' ? new Uint8Array(n) : dtype === 'int32' ? new Int32Array(n) : new Float32Array(n)

/** Every file must have the columns; their paths are those of the first. */
function columnsIn(tables: Table[], names: string[]): { column: string; keys: string[] }[] {
  const [first] = tables.map((table) => findColumns(table, names))
  return first!
}

interface Labels {
  labels: Int32Array | undefined
  classes: string[] | undefined
  /** Why a row has no label that can be read. */
  unread: Map<number, DecantError>
}

/** Labels of all rows, by a pass over their column. */
async function readLabels(
  tables: Table[],
  label: string | undefined,
  { classes, skip }: { classes: LabelClasses | undefined; skip: boolean },
): Promise<Labels> {
  const unread: Labels['unread'] = new Map()
  if (label === undefined) return { labels: undefined, classes: classes?.names && [...classes.names], unread }
  const [path] = columnsIn(tables, [label])
  const rows = tables.reduce((sum, { starts }) => sum + starts.at(-1)!, 0)
  const categories = classes || path!.keys.length > 0 ? undefined : await joinCategories(tables, path!.column)
  const column = new LabelColumn(rows, {
    classes: classes ?? (categories && { names: categories }),
    schema: sameClassNames(tables, label),
  })
  let row = 0
  for (const table of tables) {
    // of [n, 1], as Keras has them, the one in each row is the label
    const alone = table.arrayOf?.(path!.column)?.shape.every((length) => length === 1)
    const labelIn = (cell: unknown) => (alone && isList(cell) ? cell[0] : dig(cell, path!.keys))
    for (let index = 0; index + 1 < table.starts.length; index++) {
      const block = await table.block(index, [path!.column])
      const start = table.starts[index]!
      for (let i = 0; i < table.starts[index + 1]! - start; i++, row++) {
        const problem = column.add(labelIn(block.columns[0]![i]))
        if (problem === undefined) continue
        const line = block.line ? ` (line ${block.line(i)})` : ''
        const what = `label '${label}': ${problem}`
        if (!skip) throw new FormatError(`${table.path}: row ${start + i}${line}: ${what}`)
        if (unread.size === MAX_UNREAD) throw new FormatError(`${table.path}: more than ${MAX_UNREAD} rows: ${what}`)
        unread.set(row, new FormatError(what))
      }
    }
  }
  return { ...column.finish(), unread }
}

/** Names of integer labels. @throws FormatError: files that differ */
function sameClassNames(tables: Table[], label: string): string[] | undefined {
  const found = tables.map((table) => table.classNames?.(label))
  const other = found.findIndex((names) => JSON.stringify(names) !== JSON.stringify(found[0]))
  if (other < 0) return found[0]
  const [one, first] = [found[other], found[0]].map((names) => (names ? listed(names) : 'not said'))
  throw new FormatError(
    `${tables[other]!.path}: the class names of '${label}' are ${one}, in ${tables[0]!.path} ${first}: integer labels would mean different classes`,
  )
}

/** SHA-256 over one line of JSON a file, `[name, size, sha256]`, and one of the columns that make the rows. */
function fingerprint(tables: Table[], { input, label, id, mask }: Chosen): string {
  const hash = createHash('sha256')
  for (const { path, size, sha256 } of tables) hash.update(`${JSON.stringify([basename(path), size, sha256])}\n`)
  return hash
    .update(`${JSON.stringify({ input, label: label ?? null, id: id ?? null, ...(mask !== undefined && { mask }) })}\n`)
    .digest('hex')
}
