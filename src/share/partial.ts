import { derivePlan } from '../cache/algebra/derive.js'
import { viewsOf } from '../cache/columns.js'
import { shardName } from '../cache/journal.js'
import { formatManifest, type Manifest, type Plan, parseManifest } from '../cache/manifest.js'
import { DecantError } from '../errors.js'

// A part of a dataset is a dataset of its own, made by `select`: its manifest names the whole one by hash.

export interface Whole {
  uri: string
  manifest: Manifest
  /** SHA-256 of its manifest.json */
  sha256: string
}

/** One shard to fetch: what it is called there, and what it will be called here. */
export interface Fetch {
  from: string
  file: string
  bytes: number
  sha256: string
}

/** All shards, or those of the given numbers, as a dataset. Whole shards are kept as they are, numbered anew. */
export function planShards(
  { uri, manifest, sha256 }: Whole,
  numbers?: number[],
): { manifest: Manifest; fetches: Fetch[] } {
  const { shards } = manifest
  const wanted = [...new Set(numbers ?? shards.keys())].sort((a, b) => a - b)
  const beyond = wanted.find((number) => !(number >= 0 && number < shards.length))
  if (beyond !== undefined)
    throw new DecantError(`${uri}: has no shard ${beyond}: it has ${shards.length}, counted from 0`)
  if (wanted.length === shards.length)
    return { manifest, fetches: shards.map((shard) => ({ from: shard.file, ...shard })) }
  const kept = wanted.map((number, i) => ({ ...shards[number]!, file: shardName(i) }))
  const rows = kept.reduce((sum, shard) => sum + shard.rows, 0)
  const parents = [{ targets: { manifest }, sha256 }]
  const plan = derivePlan(parents, { operation: 'select', options: { shards: formatNumbers(wanted) }, rows })
  const { source, views, ...described } = plan
  const part = parseManifest(
    formatManifest({
      format: 'decant',
      version: 1,
      kind: 'logits',
      ...described,
      rows,
      views: views ?? 1,
      source: { ...source, skipped: manifest.source.skipped },
      ...(manifest.fidelity && { fidelity: manifest.fidelity }), // as `select` has it
      created: manifest.created, // no new time: the same part is the same dataset
      shards: kept,
    }),
    `${uri}, in part`,
  )
  return {
    manifest: part,
    fetches: wanted.map((number, i) => ({ from: shards[number]!.file, ...kept[i]! })),
  }
}

/** The plan of rows [from, to) as a dataset, and the shards that have them. */
export function planRows(
  { uri, manifest, sha256 }: Whole,
  { from, to }: { from: number; to: number },
): { plan: Plan; shards: { number: number; first: number; rows: number }[] } {
  const views = viewsOf(manifest)
  if (!(from >= 0 && from < to && to <= manifest.rows))
    throw new DecantError(`${uri}: rows ${from} to ${to}: it has ${manifest.rows} rows, counted from 0`)
  if (from % views || to % views)
    throw new DecantError(
      `${uri}: rows ${from} to ${to}: expected multiples of ${views}, as a sample has ${views} views`,
    )
  let first = 0
  const shards = manifest.shards
    .map(({ rows }, number) => {
      const shard = { number, first, rows }
      first += rows
      return shard
    })
    .filter(({ first, rows }) => first < to && first + rows > from)
  const parents = [{ targets: { manifest }, sha256 }]
  return { plan: derivePlan(parents, { operation: 'select', options: { from, to }, rows: to - from }), shards }
}

/** 0, 1, 2, 5 as `0-2,5`. */
export function formatNumbers(numbers: number[]): string {
  const runs: [number, number][] = []
  for (const number of numbers) {
    const last = runs.at(-1)
    if (last && last[1] === number - 1) last[1] = number
    else runs.push([number, number])
  }
  return runs.map(([from, to]) => (from === to ? `${from}` : `${from}-${to}`)).join(',')
}
