export { type ExportEstimate, estimateExport } from './estimate-export.js'
export { exportTargets } from './export-targets.js'
export type { ExportEvent, ExportOptions } from './options.js'
export { type Provider, providers } from './provider.js'
