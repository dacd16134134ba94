export {
  type ConvertOptions,
  convertTargets,
  type DeriveOptions,
  type EnsembleOptions,
  ensembleTargets,
  hashManifest,
  mergeTargets,
  type SelectOptions,
  selectTargets,
} from './algebra/index.js'
export { type Codec, type CodecName, codecOf } from './codecs/codec.js'
export {
  type Column,
  type Columns,
  type ColumnType,
  columnsOf,
  type RowKind,
  type Stored,
  type StoredInputs,
  targetColumns,
  viewsOf,
} from './columns.js'
export { type IdColumn, idAt, idColumn } from './ids.js'
export { bytesPerRow, chooseRows } from './layout.js'
export { type Lineage, lineageOf } from './lineage.js'
export { type Fidelity, type Manifest, type Plan, parseManifest, type ShardEntry, type Skipped } from './manifest.js'
export { type Chunk, type ChunkOptions, openTargets, type Row, type Targets } from './reader.js'
export { softTargets } from './soften.js'
export { type Verification, type VerifyOptions, verifyTargets } from './verify.js'
export { createTargets, type Rows, readPlan, type TargetsWriter } from './writer.js'
