import { readFileSync } from 'node:fs'
import { z } from 'zod'

/** One spec that ran. */
export interface Spec {
  name: string
  status: 'passed' | 'failed' | 'pending'
  message?: string
}

const schema = z.array(
  z.strictObject({ kernel: z.string(), reason: z.string().min(1), specs: z.array(z.string()).min(1) }),
)

/** Specs that are known to fail, by kernel and reason. */
export type Known = z.infer<typeof schema>

export function readKnown(path: string): Known {
  return schema.parse(JSON.parse(readFileSync(path, 'utf8')))
}

export interface Comparison {
  /** Failed, and not in the list. */
  unknown: Spec[]
  /** In the list, and did not fail: names to take out of it. */
  mended: string[]
}

/** Names are not unique among the specs: a name has failed if one of its specs has. */
export function compareWithKnown(specs: readonly Spec[], known: Known): Comparison {
  const listed = new Set(known.flatMap((entry) => entry.specs))
  const failed = specs.filter(({ status }) => status === 'failed')
  const failedNames = new Set(failed.map(({ name }) => name))
  return {
    unknown: failed.filter(({ name }) => !listed.has(name)),
    mended: [...listed].filter((name) => !failedNames.has(name)),
  }
}
