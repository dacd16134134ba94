import type { Plan } from '../cache/index.js'
import { DecantError } from '../errors.js'
import type { Batch, Source } from '../source/index.js'
import type { Device, FusedTeacher } from './device.js'
import { explainMisfit } from './explain-misfit.js'
import { type Calls, findCalls } from './find-calls.js'
import { type FusedModel, type LoadedTeacher, rawValues } from './load-teacher.js'
import type { LogitsAre } from './options.js'
import type { Provider } from './provider.js'
import type { TeacherOutput } from './run-rows.js'
import { differentRows, sampleLogits } from './sample-rows.js'
import { areAsTheyAre, type SettledLogits, settleLogits } from './settle-logits.js'
import { tryBatches } from './try-batches.js'

export interface TryTeacher {
  /** Path of the teacher, for errors. */
  path: string
  loaded: LoadedTeacher
  source: Pick<Source, 'uri' | 'input'>
  /** Random rows of all the source. */
  sample: Batch
  told: LogitsAre | undefined
  twoClasses: boolean
  before: Plan | undefined
  provider: Provider
  open(fused: FusedTeacher): Promise<Device>
}

/** A teacher that took a few rows. */
export interface TriedTeacher {
  settled: SettledLogits
  calls: Calls
  /** Runs a graph on the sample. */
  run(fused: FusedModel): Promise<TeacherOutput>
  /** Loads a graph on the device, where it is not the one that is loaded. */
  load(fused: FusedModel): Promise<void>
}

/**
 * Opens a teacher on a device, runs a few rows, and settles how rows are run and how their logits are read.
 * Throws DecantError for a teacher that does not take the rows, or whose logits cannot be repeated or told.
 */
export async function tryTeacher(options: TryTeacher): Promise<TriedTeacher> {
  const { path, loaded, source, sample, told, twoClasses, before, open } = options
  // how far rows are apart is seen in logits; how these come out of the output is a proposal until rows are known to be their own
  const proposal = loaded.output.propose(loaded.output.classes)
  const graph = areAsTheyAre(proposal) ? loaded.values() : loaded.read(proposal).fuse(rawValues)
  const device = await open(graph).catch((error: Error) => {
    // sizes that never go together are found before a row is run
    const { message: said } = error
    const why = /ShapeInferenceError/.test(said) && explainMisfit({ source, takes: loaded.takes, found: { said } })
    throw why ? new DecantError(`${path}: ${why}`) : error
  })
  const { run, rows } = differentRows(device, sample, graph)
  const fixedBatch = await tryBatches({ teacher: loaded, path, source, fused: graph, run })
  if (fixedBatch !== graph.fixedBatch) await device.load({ ...graph, fixedBatch })
  const calls = await findCalls({ ...options, kind: proposal.kind, rows, run, device, fixedBatch })
  let current = graph
  const load = async (fused: FusedModel) => {
    if (fused !== current) await device.load({ ...fused, fixedBatch })
    current = fused
  }
  const sampled = async (fused: FusedModel) => {
    await load(fused)
    return sampleLogits(device, sample, { raw: fused, spread: true, alone: calls.alone })
  }
  const settled = await settleLogits({
    ...{ file: path, teacher: loaded, told, twoClasses, before: before?.teacher },
    sample: sampled,
  })
  return { settled, calls, run: sampled, load }
}
