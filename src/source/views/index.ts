export type { ImageShape } from './augmentation.js'
export {
  applyView,
  augmentations,
  createApply,
  drawView,
  faultOf,
  PIPELINE_VERSION,
  parseAugment,
  type ViewPipeline,
} from './pipeline.js'
export { createReplay, openViews, type Replay, type ViewsPlan } from './views-plan.js'
export { MAX_VIEWS, type ViewSource, withViews } from './with-views.js'
