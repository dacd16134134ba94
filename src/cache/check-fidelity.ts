import { codecOf } from './codecs/codec.js'
import type { Manifest } from './manifest.js'

/** A mean KL beyond this is of the order of what distillation gains. */
const POOR = 1e-2

/**
 * Says in one line why targets at a temperature are poor, by the fidelity that was measured when they were written; undefined where
 * they are not, or where nothing was measured. Judged by the mean KL over what the codec keeps apart, at the measured temperatures around T.
 */
export function poorFidelity(
  { codec, fidelity }: Pick<Manifest, 'codec' | 'fidelity'>,
  temperature: number,
): string | undefined {
  if (!fidelity) return undefined
  const measured = fidelity.temperatures
  const lowest = measured.reduce((a, b) => (b.temperature < a.temperature ? b : a)).temperature
  const highest = measured.reduce((a, b) => (b.temperature > a.temperature ? b : a)).temperature
  if (codecOf(codec).kind === 'bucketed' && (temperature < lowest || temperature > highest))
    return `codec ${codec} keeps its tail for temperatures ${lowest} to ${highest}, not for ${temperature}`
  const below = measured.filter((at) => at.temperature <= temperature).sort((a, b) => b.temperature - a.temperature)[0]
  const above = measured.filter((at) => at.temperature >= temperature).sort((a, b) => a.temperature - b.temperature)[0]
  const worst = Math.max(below?.klBuckets.mean ?? 0, above?.klBuckets.mean ?? 0)
  return worst > POOR
    ? `at temperature ${temperature} the targets are ${worst.toPrecision(2)} nats from the teacher's on average (KL, codec ${codec})`
    : undefined
}
