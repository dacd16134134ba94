/** ONNX models as data: read, describe, edit, write. */
export { describeModel, type ModelDescription, type ValueInfo } from './describe-model.js'
export { opsetOfTarget, type Target } from './emit-targets.js'
export { type ExternalData, type SessionSource, sessionSource } from './external-data.js'
export { findLogits, type Logits, type LogitsKind } from './find-logits.js'
export { type FusedTeacher, type FuseOptions, fuseTeacher, type ImageInput } from './fuse-teacher.js'
export { type Dimension, encodeModel, GraphBuilder } from './graph-builder.js'
export { printGraph } from './print-graph.js'
export { type Model, readModel } from './read-model.js'
