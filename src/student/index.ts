export type { EpochRecord } from './checkpoint.js'
export { type ConfusedPair, createClassMeans, MAX_MATRIX_CLASSES } from './class-means.js'
export { completeConfig, defaults, type StudentConfig } from './config.js'
export { measureCosts } from './cost.js'
export { type Dataset, loadDataset } from './dataset.js'
export type { Provenance } from './folder.js'
export type { InputTable, StudentInput } from './inputs.js'
export { type Interval, interval } from './interval.js'
export { findMethod, type LossInputs, type Method, methods } from './method.js'
export { type Metrics, measure } from './metrics.js'
export { moduleNames } from './module.js'
export { createOptimizer, type Optimizer, type OptimizerConfig } from './optimizer.js'
export { inPlanned } from './parent-folder.js'
export { printStep } from './print-step.js'
export { loadStudent } from './save.js'
export { learningRateAt, type Schedule } from './schedule.js'
export { readSummary } from './summary.js'
export { type SweepEvent, type SweepOptions, type SweepResult, sweep } from './sweep.js'
export type { CostTable, ModelCost, Similarity, SweepFacts } from './sweep-file.js'
export { type Grid, type PlannedStudent, planSweep } from './sweep-plan.js'
export {
  formatCsv,
  type Measure,
  type Point,
  type SweepRow,
  type SweepStudent,
  tabulate,
} from './sweep-table.js'
export { createTally, type PerClass, type Reliability, type Tally } from './tally.js'
export type { TeacherTargets } from './targets.js'
export {
  type TrainDataOptions,
  type TrainEvent,
  type TrainedStudent,
  type TrainOptions,
  trainOnDataset,
  trainStudent,
} from './train.js'
export { type MakeStudent, type StudentOptions, zooStudent } from './zoo.js'
