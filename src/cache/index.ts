export {
  type ConvertOptions,
  convertTargets,
  type DeriveOptions,
  type EnsembleOptions,
  ensembleTargets,
  mergeTargets,
  type SelectOptions,
  selectTargets,
} from './algebra/index.js'
export { checkPlan } from './check-plan.js'
export {
  type BucketedCodec,
  type Buckets,
  CODECS,
  type Codec,
  type CodecName,
  codecOf,
  type DenseCodec,
  isCodecName,
  parseCodec,
  type TargetKind,
  type TargetRows,
} from './codecs/codec.js'
export { halfOf, halfValues } from './codecs/half.js'
export { hasMasked, keepsMasked, MASKED_GAP, WIDEST_GAP } from './codecs/masked.js'
export { decodeTail, encodeTail, TAIL_NODES, TAIL_RANGE, tailTable, tailWeights } from './codecs/tail.js'
export { rowKeys, uniformsOf } from './codecs/uniforms.js'
export {
  type Column,
  type Columns,
  type ColumnType,
  columnsOf,
  labelsByPosition,
  type RowKind,
  type Stored,
  type StoredInputs,
  targetColumns,
  targetKind,
  viewsOf,
} from './columns.js'
export { hashContent } from './content-hash.js'
export { type DatasetFiles, folderFiles, type InputFile } from './dataset-files.js'
export { measureFidelity } from './fidelity.js'
export { CARD, checkFolder, checkSamePlan, MANIFEST, PLOT, readPlan, SIGNATURE } from './folder.js'
export { type IdColumn, idAt, idColumn } from './ids.js'
export { bytesPerRow, chooseRows } from './layout.js'
export { checkLicences } from './licences.js'
export { type Licences, licenseTargets } from './license-targets.js'
export { codecsOf, type Lineage, lineageOf } from './lineage.js'
export {
  type Fidelity,
  MAX_MANIFEST_BYTES,
  type Manifest,
  type Plan,
  parseManifest,
  type ShardEntry,
  type Skipped,
} from './manifest.js'
export { nextTokens } from './next-tokens.js'
export { poorFidelity } from './poor-fidelity.js'
export { type Chunk, type ChunkOptions, type DatasetPlace, openTargets, type Row, type Targets } from './reader.js'
export { checkSignature, readKey, signTargets } from './signature.js'
export { softTargets } from './soften.js'
export { type Verification, type VerifyOptions, verifyTargets } from './verify.js'
export { createTargets, type Rows, type TargetsWriter } from './writer.js'
