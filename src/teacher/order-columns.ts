import { judgeLabels } from './judge-labels.js'
import { type FusedModel, type LoadedTeacher, rawValues } from './load-teacher.js'
import type { ExportEvent } from './options.js'
import type { Provider } from './provider.js'
import type { TeacherOutput } from './run-rows.js'
import type { SettledLogits } from './settle-logits.js'

interface OrderOptions {
  /** Path of the teacher's model, for errors. */
  file: string
  provider: Provider
  loaded: LoadedTeacher
  settled: SettledLogits
  /** Runs a graph on rows that are drawn from all of the source, the same ones each time. */
  run: (fused: FusedModel) => Promise<TeacherOutput>
  onEvent: (event: ExportEvent) => void
}

/**
 * The teacher with its columns as its label output says that they stand, where it has one: it is run on the sample alone, and an export pays nothing for it. Throws
 * DecantError where the label is not the class of the largest logit.
 */
export async function orderColumns(options: OrderOptions): Promise<SettledLogits> {
  const { file, provider, loaded, settled, run, onEvent } = options
  const found = provider === 'webgpu' ? undefined : loaded.label() // it has no kernels for labels, nor for what converters write
  if (!found) return settled
  const { label, fused } = found
  const { teacher, sampled } = settled
  const { output } = teacher.origin
  const verdict = judgeLabels({ file, output, label, said: await run(fused), sampled })
  if (verdict) onEvent({ type: 'label-output', output: label.name, of: output, ...verdict })
  if (!verdict?.swapped) return settled
  const swapped = teacher.swap()
  const raw = swapped.fuse(rawValues)
  return { ...settled, teacher: swapped, raw, sampled: await run(raw) }
}
