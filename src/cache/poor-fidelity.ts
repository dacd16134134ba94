import type { Manifest } from './manifest.js'

/** Nats, on average over rows. Students differ by more than this from seed to seed. */
const POOR = 1e-3

/**
 * Says so where a codec's targets are far from the teacher's at a temperature, by what was measured when they were written: the larger
 * mean of the measured temperatures on both sides.
 * @param over what a loss looks at: all classes, or the buckets that the codec keeps apart
 * @returns undefined where they are close, or nothing was measured
 */
export function poorFidelity(
  { codec, fidelity }: Pick<Manifest, 'codec' | 'fidelity'>,
  { temperature, over }: { temperature: number; over: 'buckets' | 'classes' },
): string | undefined {
  if (!fidelity) return undefined
  const measured = fidelity.temperatures.toSorted((a, b) => a.temperature - b.temperature)
  const below = measured.findLast((at) => at.temperature <= temperature) ?? measured[0]!
  const above = measured.find((at) => at.temperature >= temperature) ?? measured.at(-1)!
  const klOf = (at: typeof below) => (over === 'classes' ? at.klClasses : at.klBuckets)
  const worse = klOf(below).mean > klOf(above).mean ? below : above
  const { mean, worst } = klOf(worse)
  if (mean <= POOR) return undefined
  const where = over === 'classes' ? 'all classes' : 'what it keeps apart'
  return `codec ${codec} at T = ${worse.temperature}: KL to the teacher over ${where} ${mean.toExponential(1)} on average, ${worst.toExponential(1)} at worst`
}
