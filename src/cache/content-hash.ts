import { createHash } from 'node:crypto'
import type { Manifest } from './manifest.js'

/**
 * What a dataset is, whenever it was made: SHA-256 of its manifest without `created` and `sha256`, as canonical JSON (RFC 8785). The same export, run
 * again, has the same, while manifest.json has another hash. FORMAT.md, "The content's hash".
 */
export function hashContent({ created: _, sha256: __, ...content }: Manifest): string {
  return createHash('sha256')
    .update(JSON.stringify(content, (_, value) => ordered(value)))
    .digest('hex')
}

/** An object with its keys by their UTF-16 code units. JSON.stringify writes numbers and texts as RFC 8785 does. */
function ordered(value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1))
  return Object.fromEntries(entries)
}
