import { constants } from 'node:fs'
import { open, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { FormatError } from '../errors.js'
import { readInput } from '../input-file.js'
import { parseJson } from '../json.js'
import { diskError, NO_LINK, type OpenFile, replaceFile, writeFully } from './files.js'
import {
  MAX_MANIFEST_BYTES,
  MAX_SKIPPED,
  type Plan,
  planSchema,
  type ShardEntry,
  type Skipped,
  shardSchema,
  skippedSchema,
  validate,
} from './manifest.js'

/** The name of an unfinished export's journal: the plan, then a line for each shard that is on disk. */
export const JOURNAL = 'journal.jsonl'

export interface JournalLine {
  shard: ShardEntry
  skipped: Skipped[]
}

export interface Journal {
  plan: Plan
  lines: JournalLine[]
  /** ends[k]: bytes of the journal that records the first k shards */
  ends: number[]
}

const headSchema = z.strictObject({ format: z.literal('decant journal'), version: z.literal(1), plan: planSchema })
const lineSchema = z.strictObject({ shard: shardSchema, skipped: z.array(skippedSchema).max(MAX_SKIPPED) })

/** The first line of the journal in `dir`, and the shards it records; undefined where there is none. */
export async function readJournal(dir: string): Promise<Journal | undefined> {
  const path = join(dir, JOURNAL)
  const bytes = await readInput(path, MAX_MANIFEST_BYTES).catch((error) => {
    if (error.code !== 'ENOENT') throw diskError(error, path)
  })
  if (bytes === undefined) return undefined
  const content = bytes.toString()
  // What follows the last line break was being written when the process died.
  const whole = content.slice(0, content.lastIndexOf('\n') + 1)
  const [head, ...rest] = whole.split('\n').slice(0, -1)
  if (head === undefined) throw new FormatError(`${path}: expected a plan in the first line, found none`)
  const { plan } = validate(headSchema, parseJson(head, path), path)
  const lines = rest.map((line, i) => {
    const place = `${path}:${i + 2}`
    const entry: JournalLine = validate(lineSchema, parseJson(line, place), place)
    if (entry.shard.file !== shardName(i))
      throw new FormatError(`${place}: expected shard ${shardName(i)}, found ${entry.shard.file}`)
    return entry
  })
  const ends = [Buffer.byteLength(head) + 1]
  for (const line of rest) ends.push(ends.at(-1)! + Buffer.byteLength(line) + 1)
  return { plan, lines, ends }
}

export const createJournal = (dir: string, plan: Plan, open: OpenFile): Promise<void> =>
  replaceFile(join(dir, JOURNAL), `${JSON.stringify({ format: 'decant journal', version: 1, plan })}\n`, open)

/** Forgets what lies behind byte `bytes`: a torn line, or shards that did not hold what the journal says. */
export async function cutJournal(dir: string, bytes: number): Promise<void> {
  const path = join(dir, JOURNAL)
  try {
    const file = await open(path, constants.O_RDWR | NO_LINK)
    try {
      await file.truncate(bytes)
      await file.sync()
    } finally {
      await file.close()
    }
  } catch (error) {
    throw diskError(error, path)
  }
}

/** Records a shard; it counts once this resolves. */
export async function appendJournal(dir: string, line: JournalLine, open: OpenFile): Promise<void> {
  const path = join(dir, JOURNAL)
  try {
    const file = await open(path, 'a')
    try {
      await writeFully(file, [Buffer.from(`${JSON.stringify(line)}\n`)])
      await file.sync()
    } finally {
      await file.close()
    }
  } catch (error) {
    throw diskError(error, path)
  }
}

export const removeJournal = (dir: string): Promise<void> => rm(join(dir, JOURNAL), { force: true })

export const shardName = (index: number): string => `data/${String(index).padStart(5, '0')}.arrow`
