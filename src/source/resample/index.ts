export { type Filter, filters, isInterpolating } from './axis.js'
export { planResampling, RESAMPLER, type Resampling } from './plan.js'
export { type Pixels, resample } from './resample.js'
