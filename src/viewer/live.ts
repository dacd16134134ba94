import { readdir, stat } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { readTemporary } from '../cache/files.js'
import { bytesPerRow, viewsOf } from '../cache/index.js'
import { readJournal, shardName } from '../cache/journal.js'
import { plannedSamples } from '../cache/manifest.js'
import type { Live } from './api.js'
import { exists, readStudents, type StudentsFolder } from './students.js'

/** How often the folder is looked at. */
const EVERY_MS = 1000

/**
 * What runs in a folder, as often as it changes, until it is done. All that is known is what lies in the folder, so a run of another process,
 * or one that was killed, is followed in the same way.
 */
export async function* follow(read: () => Promise<Live>, signal: AbortSignal, every = EVERY_MS): AsyncGenerator<Live> {
  let last = ''
  while (!signal.aborted) {
    const now = await read()
    const text = JSON.stringify(now)
    if (text !== last) yield now
    if (now.done) return
    last = text
    await sleep(every, undefined, { signal }).catch(() => {})
  }
}

export const followStudents = (folder: StudentsFolder) => async (): Promise<Live> => ({
  type: 'students',
  ...(await readStudents(folder)),
})

/** An export by its journal, and by the size of the shard that is being written. */
export function followExport(dir: string): () => Promise<Live> {
  let [seen, before, rate] = [performance.now(), -1, 0]
  return async () => {
    const journal = await readJournal(dir)
    if (!journal) {
      const done = await exists(join(dir, 'manifest.json'))
      const rows = Math.max(0, before)
      return { type: 'export', rows, of: rows, rowsPerSecond: 0, secondsLeft: done ? 0 : null, done }
    }
    const { plan, lines } = journal
    const of = plannedSamples(plan) * viewsOf(plan)
    const whole = lines.reduce((sum, { shard, skipped }) => sum + shard.rows + skipped.length * viewsOf(plan), 0)
    const bytes = await bytesInHand(dir, shardName(lines.length))
    const inHand = Math.min(plan.rowsPerShard * viewsOf(plan), Math.floor(bytes / bytesPerRow(plan)))
    const rows = Math.min(of, whole + inHand)
    const now = performance.now()
    if (before >= 0 && rows !== before) {
      const current = (1000 * (rows - before)) / Math.max(1, now - seen)
      rate += (rate === 0 ? 1 : 0.3) * (current - rate)
    }
    if (before < 0 || rows !== before) [seen, before] = [now, rows]
    const rowsPerSecond = Math.max(0, rate)
    return {
      type: 'export',
      rows,
      of,
      rowsPerSecond,
      secondsLeft: rowsPerSecond > 0 ? (of - rows) / rowsPerSecond : null,
      done: false,
    }
  }
}

/** Bytes of the shard that is being written; of several temporary files, which processes that were killed have left, the newest is. */
async function bytesInHand(dir: string, shard: string): Promise<number> {
  const folder = join(dir, dirname(shard))
  const names = await readdir(folder).catch(() => [])
  const own = names.filter((name) => readTemporary(name)?.of === basename(shard))
  const found = await Promise.all(own.map((name) => stat(join(folder, name)).catch(() => undefined)))
  const [newest] = found.flatMap((file) => file ?? []).sort((a, b) => b.mtimeMs - a.mtimeMs)
  return newest?.size ?? 0
}
