export { type OpenOptions, openDataset } from './open-dataset.js'
export { type PullOptions, type PullResult, pullTargets } from './pull.js'
export { type PushOptions, type PushResult, pushTargets } from './push.js'
export type { TransferProgress } from './transfer.js'
