/** ONNX models as data: read, describe, edit, write. */
export { describeModel, type ModelDescription, printValueInfo, type ValueInfo } from './describe-model.js'
export { opsetOfTarget, type Target } from './emit-targets.js'
export { type ExternalData, type SessionSource, sessionSource } from './external-data.js'
export { type ClassLabel, findClassLabels, findLabelOutputs, type LabelOutput } from './find-classes.js'
export {
  type EditedModel,
  type FoundOutput,
  findLogits,
  type LogitsKind,
  openOutput,
  type Reading,
} from './find-logits.js'
export { findMixing, type Mixing } from './find-mixing.js'
export { findPadding, type IdsInGraph } from './find-padding.js'
export { findVocabulary } from './find-vocabulary.js'
export { type FixedBatch, type FusedTeacher, type FuseOptions, fuseTeacher, type ImageInput } from './fuse-teacher.js'
export { type Dimension, encodeModel, GraphBuilder } from './graph-builder.js'
export { layouts } from './layouts.js'
export { type CountedModel, countedModel } from './multiply-adds.js'
export { printGraph } from './print-graph.js'
export { readLabels } from './read-labels.js'
export { type Model, readModel, readProto } from './read-model.js'
