export { type IdColumn, idAt } from './ids.js'
export { parseSourceOptions, type SourceOptions } from './options.js'
export { affine, type Preprocess, parsePreprocess, readPreprocess } from './preprocess.js'
export { type Batch, type BatchOptions, type Inputs, openSource, type Source, type SourceInput } from './source.js'
