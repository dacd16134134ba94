import './telemetry.js'

export {
  type Chunk,
  type ChunkOptions,
  type CodecName,
  type ConvertOptions,
  convertTargets,
  type DeriveOptions,
  type EnsembleOptions,
  ensembleTargets,
  type Licences,
  type Lineage,
  licenseTargets,
  lineageOf,
  type Manifest,
  mergeTargets,
  openTargets,
  parseManifest,
  type Row,
  type SelectOptions,
  selectTargets,
  signTargets,
  softTargets,
  type Targets,
  type Verification,
  type VerifyOptions,
  verifyTargets,
} from './cache/index.js'
export { type ChainEvent, type ChainOptions, type Link, trainChain } from './chain/index.js'
export { type Engine, type EngineName, type EngineOptions, openEngine } from './engine/engine.js'
export { DecantError, FormatError, InterruptedError, MismatchError, UnavailableError } from './errors.js'
export { describeTargets, type TargetsDescription } from './report/describe-targets.js'
export {
  type OpenOptions,
  openDataset,
  type PullOptions,
  type PullResult,
  type PushOptions,
  type PushResult,
  pullTargets,
  pushTargets,
  type TransferProgress,
} from './share/index.js'
export { openSource, type Preprocess, readPreprocess, type Source, type ViewsPlan, withViews } from './source/index.js'
export {
  type ConfusedPair,
  type CostTable,
  type Grid,
  type LossInputs,
  type MakeStudent,
  type Method,
  type Metrics,
  type StudentConfig,
  type StudentOptions,
  type SweepOptions,
  type SweepResult,
  type SweepRow,
  type SweepStudent,
  sweep,
  type TeacherTargets,
  type TrainedStudent,
  type TrainOptions,
  trainStudent,
} from './student/index.js'
export {
  type ExportEstimate,
  type ExportEvent,
  type ExportOptions,
  estimateExport,
  exportTargets,
  type PlannedExport,
  type Provider,
  type Rerun,
  type RerunOptions,
  readTeacherClasses,
  rerunTeacher,
} from './teacher/index.js'
export { serveViewer, type Viewer, type ViewerOptions } from './viewer/serve-viewer.js'
export { type WritePageOptions, type WrittenPage, writePage } from './viewer/write-page.js'
