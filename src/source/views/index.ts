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
