import { hashContent } from './content-hash.js'
import type { Manifest } from './manifest.js'
import type { Targets } from './reader.js'

/** How a dataset came to be, from the source to the codec: what its manifest says, shards and sizes aside. Students carry it on. */
export interface Lineage {
  /** SHA-256 of manifest.json. A student leaves it out: the time of the export is in it, and would be in all that is made from the student. */
  manifest?: string
  /** What tells the dataset, times aside: `hashContent`. */
  content: string
  /** where a remote dataset was read from, without credentials */
  uri?: string
  rows: number
  classes: number
  codec: string
  source: Omit<Manifest['source'], 'skipped' | 'options'> & { skipped: number }
  preprocess: object | null
  views: Manifest['views']
  teacher: Manifest['teacher']
  runtime: Manifest['runtime']
  derived: Manifest['derived'] | null
}

export function lineageOf({
  manifest,
  manifestSha256,
  uri,
}: Pick<Targets, 'manifest' | 'manifestSha256' | 'uri'>): Lineage {
  const { rows, classes, codec, source, preprocess, views, teacher, runtime, derived } = manifest
  const { skipped, options: _, ...origin } = source
  return {
    manifest: manifestSha256,
    content: hashContent(manifest),
    ...(uri !== undefined && { uri }),
    rows,
    classes,
    codec,
    source: { ...origin, skipped: skipped.length },
    preprocess,
    views,
    teacher,
    runtime,
    derived: derived ?? null,
  }
}

/** The codecs that a dataset's targets have been through: its own, and those of what it was derived from. */
export const codecsOf = ({ codec, derived }: Manifest): string[] => [
  codec,
  ...(derived?.ancestors ?? []).map((ancestor) => ancestor.codec),
]
