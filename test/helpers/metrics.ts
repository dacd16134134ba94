import type { Metrics } from '../../src/student/metrics.js'

/** Metrics of ten rows of three classes. */
export const makeMetrics = (changes: Partial<Metrics>): Metrics => ({
  rows: 10,
  labelled: 10,
  accuracy: 0.5,
  top5: null,
  nll: 1,
  ece: 0.1,
  brier: 0.2,
  aurc: 0.03,
  reliability: null,
  perClass: null,
  agreement: 0.9,
  kl: 0.2,
  ...changes,
})
