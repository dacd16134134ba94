import { bytesPerRow, type Chunk, codecOf, type Targets, targetColumns } from '../cache/index.js'
// not from its index, which loads tfjs
import { createTally, type Tally } from '../student/tally.js'
import { type Overview, TEMPERATURES } from './api.js'
import { LOCAL, pickRows, type Reach, readStretches } from './pick-rows.js'
import { readTeacher } from './teacher-rows.js'

/** Exponentials that take a second, about. */
const EXPONENTIALS = 3e7

/** What a dataset says as a whole, of as many of its rows as `pickRows` finds for the effort, in seconds, about. */
export async function summarize(
  targets: Targets,
  signal: AbortSignal,
  { seconds = 1, reach = LOCAL }: { seconds?: number; reach?: Reach } = {},
): Promise<Overview> {
  const { classes, manifest } = targets
  const { positions = 1 } = manifest
  const bucketed = codecOf(manifest.codec).kind === 'bucketed'
  const tally = createTally(classes)
  const labels = new Array<number>(classes).fill(0)
  const predictions = new Array<number>(classes).fill(0)
  const softness = TEMPERATURES.map((temperature) => ({ temperature, entropy: 0, top: 0, tail: 0 }))
  const values = valuesOf(targets)
  const effort = (seconds * EXPONENTIALS) / 2
  const most = Math.max(16, Math.floor(Math.min(effort / positions / classes, reach.bytes / bytesOf(targets))))
  const picked = pickRows(targets.rows, most, reach.places)
  const rows = picked.reduce((sum, { from, to }) => sum + to - from, 0)
  // Softening costs so much more that it may have to do with fewer.
  const every = Math.ceil((rows * positions * values * TEMPERATURES.length) / effort)

  let [count, softened, labelled] = [0, 0, 0]
  for await (const chunk of readStretches(targets, picked, signal)) {
    const teacher = readTeacher(chunk, manifest)
    const valid = validTargets(chunk, positions)
    const own = positions === 1 ? chunk.labels : new Int32Array(teacher.count).fill(-1)
    const spread = teacher.spread(own)
    for (const i of valid) {
      predictions[teacher.top(i)]!++
      const label = own[i]!
      if (label < 0 || label >= classes) continue
      labels[label]!++
      labelled++
      tally.add(spread(i), own.subarray(i, i + 1))
    }
    const some = valid.filter((_, n) => (count + n) % every === 0)
    for (const at of softness) {
      const soften = teacher.soften(at.temperature)
      for (const i of some) {
        const { entropy, top, tail } = soften(i)
        at.entropy += entropy
        at.top += top
        at.tail += tail
      }
    }
    count += valid.length
    softened += some.length
  }
  const mean = (sum: number) => (softened > 0 ? sum / softened : 0)
  const result = tally.result()
  return {
    rows: count,
    softened,
    tally: tallyOf(result),
    reliability: (result.reliability?.rows ?? []).flatMap((rows, bin) =>
      rows > 0
        ? [{ confidence: result.reliability!.confidence[bin]!, accuracy: result.reliability!.accuracy[bin]!, rows }]
        : [],
    ),
    byTemperature: softness.map(({ temperature, entropy, top, tail }) => ({
      temperature,
      entropy: mean(entropy),
      top: mean(top),
      tail: bucketed ? mean(tail) : null,
    })),
    fidelity: (manifest.fidelity?.temperatures ?? []).map(({ temperature, klBuckets, klClasses, tailError }) => ({
      temperature,
      klBuckets: klBuckets.mean,
      klClasses: klClasses.mean,
      tailError: tailError?.mean ?? null,
    })),
    labels: labelled > 0 ? labels : null,
    predictions,
  }
}

function tallyOf({ accuracy, top5, nll, ece, brier, aurc }: Tally): Overview['tally'] {
  if (accuracy === null) return null
  return { accuracy, top5, nll: nll!, ece: ece!, brier: brier!, aurc: aurc! }
}

/** Targets of a chunk that mean something: all rows, or the valid positions of its sequences. */
export function validTargets(chunk: Chunk, positions: number): number[] {
  if (positions === 1) return Array.from({ length: chunk.rows }, (_, i) => i)
  const lengths = chunk.columns.length!
  return Array.from({ length: chunk.rows }, (_, row) =>
    Array.from({ length: lengths[row]! }, (_, position) => row * positions + position),
  ).flat()
}

/** Logits that a target has in its dataset. */
export function valuesOf({ manifest }: Targets): number {
  if (codecOf(manifest.codec).kind === 'dense') return manifest.classes
  return targetColumns({ codec: manifest.codec, classes: manifest.classes }).find(({ name }) => name === 'logits')!
    .width
}

/** Bytes of a row on disk, about; stored inputs are only read of rows that are shown. */
export const bytesOf = ({ manifest }: Targets, { inputs = false } = {}): number =>
  bytesPerRow({ ...manifest, ...(!inputs && { inputs: null }) })
