import { DecantError, MismatchError } from '../../errors.js'
import { diffJson } from '../diff.js'
import { NOT_COMPARED } from '../folder.js'
import type { Manifest } from '../manifest.js'
import type { DatasetPlace } from '../reader.js'
import type { Rows } from '../writer.js'
import { type DeriveOptions, derivePlan, type Parent, rowsOf, withParents, writeDerived } from './derive.js'
import { joinFidelities } from './fidelity.js'

/** What parts of one export may differ in: the rows that they took, and how many at once. */
const OWN = [
  'source.range.from',
  'source.range.to',
  'runtime.batch',
  'rowsPerShard',
  'derived',
  'rows',
  'shards',
  'created',
  'sha256',
]

/**
 * Joins parts of one export (`decant export --rows from:to`) in the order of the source. Where nothing was skipped and the parts have its
 * batch, the shards are those of an export in one go.
 * @throws MismatchError where the parts are of different exports; DecantError where they overlap or leave a gap
 */
export async function mergeTargets(places: DatasetPlace[], options: DeriveOptions): Promise<Manifest> {
  return withParents(places, async (given) => {
    const parents = given.toSorted((a, b) => rangeOf(a).from - rangeOf(b).from)
    if (parents.length < 2) throw new DecantError('merge: expected at least two datasets')
    checkParts(parents)
    const first = parents[0]!.targets.manifest
    const range = { from: rangeOf(parents[0]!).from, to: rangeOf(parents.at(-1)!).to }
    const { range: _, skipped: __, ...source } = first.source
    const whole = range.from === 0 && range.to === source.rows
    const rows = parents.reduce((sum, { targets }) => sum + targets.rows, 0)
    const plan = derivePlan(
      parents,
      { operation: 'merge', options: {}, rows },
      { source: whole ? source : { ...source, range } },
    )
    return writeDerived(plan, { ...options, fidelity: joinFidelities(parents) }, (from) => read(parents, from))
  })
}

async function* read(parents: Parent[], from: number): AsyncGenerator<Rows> {
  let start = 0
  let skipped = from === 0 ? parents.flatMap(({ targets }) => targets.manifest.source.skipped) : []
  for (const { targets } of parents) {
    const first = Math.max(0, from - start)
    start += targets.rows
    if (first >= targets.rows) continue
    for await (const chunk of targets.chunks({ from: first, verify: true, reuse: true })) {
      yield { ...rowsOf(chunk), skipped }
      skipped = []
    }
  }
}

function rangeOf({ targets }: Parent): { from: number; to: number } {
  const { rows, range } = targets.manifest.source
  return range ?? { from: 0, to: rows }
}

function checkParts(parents: Parent[]): void {
  const [first, ...others] = parents as [Parent, ...Parent[]]
  for (const { targets } of parents) {
    const { derived } = targets.manifest
    if (derived && derived.operation !== 'merge')
      throw new DecantError(
        `${targets.dir}: made by ${derived.operation}: only an export, or a merge of its parts, is a part`,
      )
  }
  let before = first
  for (const part of others) {
    const differences = diffJson(comparable(first), comparable(part), [...NOT_COMPARED, ...OWN])
    if (differences.length > 0)
      throw new MismatchError(
        `${part.targets.dir} is no part of the export that ${first.targets.dir} is of. Different:`,
        differences.map((line) => line.replace(/ in the folder, (.*) now$/, ' there, $1 here')),
      )
    const [end, start] = [rangeOf(before).to, rangeOf(part).from]
    const what = (from: number, to: number) => `source rows ${from} to ${to}`
    if (start < end)
      throw new DecantError(
        `${what(start, Math.min(end, rangeOf(part).to))} are in both ${before.targets.dir} and ${part.targets.dir}`,
      )
    if (start > end)
      throw new DecantError(`${what(end, start)} are in no part: ${before.targets.dir} ends before ${part.targets.dir}`)
    before = part
  }
}

/** The manifest less what is each part's own. */
function comparable({ targets }: Parent): object {
  const { source, derived: _, shards: __, fidelity: ___, ...rest } = targets.manifest
  const { skipped: ____, ...origin } = source
  return { ...rest, source: origin }
}
