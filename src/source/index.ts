export { type IdColumn, idAt } from './ids.js'
export { affine, type Preprocess, parsePreprocess, readPreprocess } from './preprocess.js'
export { type Batch, type BatchOptions, openSource, type Source } from './source.js'
