import { FormatError } from '../errors.js'
import { checkKind } from './check-kind.js'
import { MAX_SHARDS, type Plan, plannedSamples, planSchema, validate } from './manifest.js'

/**
 * Everything that a reader of the dataset would refuse, and more shards than it may have.
 * @returns a copy: what is written later is what was checked now
 * @throws FormatError
 */
export function checkPlan(plan: Plan): Plan {
  // The round trip drops undefined, as writing would.
  const checked: Plan = validate(planSchema, JSON.parse(JSON.stringify(plan)), 'plan')
  checkKind(checked, 'plan')
  const { range, rows } = checked.source
  if (range && (range.from >= range.to || range.to > rows))
    throw new FormatError(`plan: rows ${range.from} to ${range.to}, but the source has ${rows}`)
  const shards = Math.ceil(plannedSamples(checked) / checked.rowsPerShard)
  if (shards > MAX_SHARDS)
    throw new FormatError(`plan: ${shards} shards, expected at most ${MAX_SHARDS}: choose larger shards`)
  return checked
}
