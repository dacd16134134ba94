import { readFile, rm, rmdir, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { rowsOf, writeDerived } from '../cache/algebra/derive.js'
import { makeFolder } from '../cache/files.js'
import { MANIFEST } from '../cache/folder.js'
import { folderFiles, openTargets } from '../cache/index.js'
import { JOURNAL } from '../cache/journal.js'
import type { Rows } from '../cache/writer.js'
import { fetchFile, isWhole } from './fetch-file.js'
import { hashOf } from './file-content.js'
import { planRows, type Whole } from './partial.js'
import type { PullOptions, PullResult } from './pull.js'
import { checkSpace } from './pull-folder.js'
import type { Store } from './store.js'
import { meter } from './transfer.js'

/** Where shards lie, in the folder of the new dataset, until their rows have been taken. */
const TEMPORARY = 'pull.tmp'

/**
 * Rows of a dataset as a dataset of their own. Whole shards are fetched, as only they can be checked, two at a time; their rows go through
 * the writer of all datasets, with its journal, lock and resume.
 */
export async function pullRows(
  store: Store,
  whole: Whole & { text: Buffer },
  options: PullOptions & { dir: string; rows: { from: number; to: number } },
): Promise<PullResult> {
  const { dir, rows, retry, onProgress } = options
  const stop = new AbortController()
  const signal = options.signal ? AbortSignal.any([options.signal, stop.signal]) : stop.signal
  const { plan, shards } = planRows(whole, rows)
  const entries = shards.map((shard) => ({ ...shard, entry: whole.manifest.shards[shard.number]! }))
  const temporary = join(dir, TEMPORARY)
  const totalBytes = entries.reduce((sum, { entry }) => sum + entry.bytes, 0)
  const there = await stat(dir).then(Boolean, () => false)
  const progress = meter({ totalBytes, totalFiles: entries.length }, onProgress)
  let fetchedBytes = 0
  let began = false

  const fetch = async ({ entry }: (typeof entries)[number]) => {
    const path = join(temporary, entry.file)
    began = true
    await makeFolder(dirname(path))
    if ((await isWhole(path, entry, signal)) === 'whole') progress.bytes(entry.bytes)
    else {
      await checkSpace(dir, entry.bytes, store.uri)
      await fetchFile(store, { ...entry, from: entry.file }, path, { signal, retry, onBytes: progress.bytes })
      fetchedBytes += entry.bytes
    }
    progress.file()
  }

  async function* read(done: number): AsyncGenerator<Rows> {
    const from = rows.from + done
    const wanted = entries.filter(({ first, rows }) => first + rows > from)
    for (const { entry } of entries.slice(0, entries.length - wanted.length)) {
      progress.bytes(entry.bytes)
      progress.file()
    }
    let skipped = done === 0 ? whole.manifest.source.skipped : []
    let next = fetch(wanted[0]!)
    try {
      for (const [i, shard] of wanted.entries()) {
        await next
        if (i + 1 < wanted.length) next = fetch(wanted[i + 1]!)
        next.catch(() => {}) // thrown where it is awaited
        const targets = await openTargets(
          { ...folderFiles(temporary), manifest: async () => whole.text },
          { verify: false },
        )
        try {
          const range = { from: Math.max(from, shard.first), to: Math.min(rows.to, shard.first + shard.rows) }
          for await (const chunk of targets.chunks({ ...range, reuse: true })) {
            yield { ...rowsOf(chunk), skipped }
            skipped = []
          }
        } finally {
          await targets.close()
        }
        await rm(join(temporary, shard.entry.file), { force: true })
      }
    } finally {
      stop.abort() // where rows are not taken any more, the next shard is still on its way
      await next.catch(() => {})
    }
  }

  try {
    const { fidelity } = whole.manifest
    const manifest = await writeDerived(
      plan,
      { out: dir, fidelity, ...(options.signal && { signal: options.signal }) },
      read,
    )
    await rm(temporary, { recursive: true, force: true })
    const text = await readFile(join(dir, MANIFEST))
    const bytes = manifest.shards.reduce((sum, shard) => sum + shard.bytes, text.length)
    return {
      dir,
      uri: store.uri,
      from: whole.sha256,
      manifest: hashOf(text),
      rows: manifest.rows,
      shards: manifest.shards.length,
      bytes,
      fetchedBytes,
      repaired: [],
    }
  } catch (error) {
    const begun = await stat(join(dir, JOURNAL)).then(Boolean, () => false)
    if (!begun) {
      if (began) await rm(temporary, { recursive: true, force: true })
      if (!there) await rmdir(dir).catch(() => {})
    }
    throw error
  }
}
