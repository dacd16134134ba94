import type { CodecName } from '../codecs/codec.js'
import { measureFidelity } from '../fidelity.js'
import { codecsOf } from '../lineage.js'
import type { Fidelity } from '../manifest.js'
import type { Parent } from './derive.js'

/** Rows that are measured, evenly spread: fewer where they are large. */
const SAMPLED = { rows: 64, values: 2 ** 24 }

/** What f32 and f16 keep is the teacher's to 1e-6 nats: what they add to another codec's rounding is nothing beside it. */
const isExact = (codec: string) => codec === 'f32' || codec === 'f16'

/**
 * How far a dataset that is encoded anew is from the teacher's logits. Measured where the parents have those; of one that was rounded
 * coarser before, its own figures, where nothing is added to them, and else no statement.
 * @param combine the logits that are encoded, of the parents' logits of the same rows
 */
export async function fidelityOf(
  parents: Parent[],
  codec: CodecName,
  combine: (parts: { logits: Float32Array }[]) => Float32Array,
): Promise<Fidelity | undefined> {
  const codecs = parents.flatMap(({ targets }) => codecsOf(targets.manifest))
  const [one, another] = parents.map(({ targets }) => targets.manifest)
  if (!another && isExact(codec) && codecs.some((given) => given !== 'f32')) return one!.fidelity
  if (!codecs.every(isExact)) return undefined

  const { classes, rows } = parents[0]!.targets
  const positions = one!.positions ?? 1
  const count = Math.min(rows, SAMPLED.rows, Math.max(1, Math.floor(SAMPLED.values / (classes * positions))))
  const logits = new Float32Array(count * positions * classes)
  let size = 0
  for (let i = 0; i < count; i++) {
    const parts = await Promise.all(parents.map(({ targets }) => targets.row(Math.floor((i * rows) / count))))
    const length = parts[0]!.columns.length?.[0] ?? positions // of a sequence without its padding
    logits.set(combine(parts).subarray(0, length * classes), size)
    size += length * classes
  }
  return size > 0 ? measureFidelity({ logits: logits.subarray(0, size), classes, codec }) : undefined
}

/** Of parts of an export: means weighted by the parts' rows, the worst of all. */
export function joinFidelities(parents: Parent[]): Fidelity | undefined {
  const parts = parents
    .filter(({ targets }) => targets.rows > 0)
    .map(({ targets }) => ({ weight: targets.rows, fidelity: targets.manifest.fidelity }))
  const [first] = parts
  if (!first?.fidelity || !parts.every(({ fidelity }) => fidelity)) return undefined
  const at = ({ temperature }: { temperature: number }) =>
    parts.map(({ weight, fidelity }) => ({
      weight,
      measured: fidelity!.temperatures.find((one) => one.temperature === temperature),
    }))
  if (!first.fidelity.temperatures.every((one) => at(one).every(({ measured }) => measured))) return undefined
  return {
    rows: parts.reduce((sum, { fidelity }) => sum + fidelity!.rows, 0),
    temperatures: first.fidelity.temperatures.map(({ temperature }) => {
      const measured = at({ temperature })
      const join = (key: 'klBuckets' | 'klClasses' | 'tailError') =>
        joinSpreads(measured.map(({ weight, measured }) => ({ weight, spread: measured![key] })))
      return { temperature, klBuckets: join('klBuckets')!, klClasses: join('klClasses')!, tailError: join('tailError') }
    }),
  }
}

type Spread = { mean: number; worst: number } | null

function joinSpreads(parts: { weight: number; spread: Spread }[]): Spread {
  const known = parts.flatMap(({ weight, spread }) => (spread ? [{ weight, ...spread }] : []))
  if (known.length === 0) return null
  const total = known.reduce((sum, { weight }) => sum + weight, 0)
  return {
    mean: known.reduce((sum, { weight, mean }) => sum + (weight / total) * mean, 0),
    worst: Math.max(...known.map(({ worst }) => worst)),
  }
}
