import type { CodecName, Plan } from '../cache/index.js'
import type { Source } from '../source/index.js'
import type { Accuracy } from './accuracy.js'
import type { CodecTrial } from './choose-codec.js'
import type { Padding } from './choose-padding.js'
import type { LabelVerdict } from './judge-labels.js'
import type { Provider, ProviderChoice } from './provider.js'
import type { BatchTiming } from './tune-batch.js'

/** What the user says that the values of a teacher's output are. */
export const logitsAre = ['logits', 'probabilities', 'log-probabilities'] as const
export type LogitsAre = (typeof logitsAre)[number]

/** What an export is of: all but where it goes. */
export type PlannedExport = Omit<ExportOptions, 'out'> & { out?: string }

export interface ExportOptions {
  /** Rows and batches are of views, where it gives them (`withViews`). It was opened with the preprocessing that the teacher expects. */
  source: Source
  /** Path of the ONNX classifier. */
  teacher: string
  /** Folder of the soft-target dataset: new, or one that the same call left unfinished. */
  out: string
  /** Name of the logits output, where the model has several candidates. */
  output?: string
  /** What that output's values are, where neither its graph nor they themselves make it clear. */
  logitsAre?: LogitsAre
  /** Default f16: float16 below each row's top logit, which is kept in float32. */
  codec?: CodecName | 'auto'
  /** With codec auto: the smallest codec is taken whose worst sampled row stays within this KL at T = 1 to 8, in nats. Default 1e-3. */
  maxKl?: number
  provider?: Provider | 'auto'
  /** Device numbers, one worker each. Default [0]. */
  devices?: number[]
  /** Rows a call; measured where it is left out. */
  batch?: number
  /** Size of a shard, about, in MiB. Default 128. */
  shardMb?: number
  /** Also store what the teacher is given, before normalisation: students need no source then. */
  storeInputs?: boolean
  /** Rows of the source to export (of several views, samples), as a part of one export that `mergeTargets` joins. Default: all. */
  range?: { from: number; to: number }
  /** What an unreadable sample does: stop the export (the default), or be left out and listed in the manifest. */
  onError?: 'fail' | 'skip'
  /** Licence of the dataset, an SPDX identifier. Default: as the unfinished export in `out` has it, else not stated; `push` asks for both. */
  license?: string
  /** Licence of the teacher. */
  teacherLicense?: string
  /** Aborting finishes the shard in hand, or before the first one stops at once, then throws InterruptedError. */
  signal?: AbortSignal
  onEvent?: (event: ExportEvent) => void
}

/** Which output of a teacher was taken, and how its logits were found. */
export type HowFound = Pick<Plan['teacher'], 'file' | 'output' | 'logits' | 'rule' | 'floor'>

export type ExportEvent =
  | ({ type: 'teacher'; classes: number; positions?: number } & HowFound)
  | { type: 'attention-mask'; column: string }
  | ({ type: 'padding' } & Padding)
  | ({ type: 'provider' } & ProviderChoice)
  /** The model's own label output against the largest of `of`, on sampled rows: see judgeLabels. */
  | ({ type: 'label-output'; output: string; of: string } & LabelVerdict)
  | { type: 'codec'; codec: CodecName; trials: CodecTrial[] }
  /** Rows cannot be run many at once: each by itself (`alone`), in calls of one size (`fixedBatch`), or both. The rate is of one session. */
  | { type: 'calls'; alone: boolean; fixedBatch?: number; rowsPerSecond: number; why: string }
  | { type: 'batch'; batch: number; why: 'given' | 'measured' | 'as before' | 'the only one'; timings?: BatchTiming[] }
  | { type: 'resume'; rows: number; shards: number }
  /** `accuracy`: the share of rows with a label, so far, whose label is the teacher's top class; absent where no row has had one, and for sequences. */
  | { type: 'progress'; rows: number; total: number; rowsPerSecond: number; secondsLeft: number; accuracy?: number }
  | { type: 'shard'; file: string; rows: number; bytes: number }
  | { type: 'skipped'; id: string; reason: string }
  | { type: 'out-of-memory'; device: number; batch: number }
  /** At the end, of the rows with a label that this call ran; `resumed` where an earlier one had run others. */
  | ({ type: 'accuracy'; resumed: boolean } & Accuracy)
  | { type: 'complete'; rows: number; bytes: number; shards: number; seconds: number; already: boolean }

/** The part of a source that is exported, in rows of the source, which counts each view of a sample as one. */
export function rangeIn(
  { rows, views }: Source,
  range: { from: number; to: number } | undefined,
): { from: number; to: number } {
  const count = views?.count ?? 1
  return range ? { from: range.from * count, to: range.to * count } : { from: 0, to: rows }
}
