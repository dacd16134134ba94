import { expect, it } from 'vitest'
import { renderMetrics } from '../../src/report/render-metrics.js'
import { makeMetrics } from '../helpers/metrics.js'

it('prints one student plainly, and several with Student’s interval', () => {
  const one = makeMetrics({ accuracy: 0.8123, top5: 0.99, aurc: 0.0301 })
  expect(renderMetrics([one])).toBe(
    'accuracy 81.23 %, top-5 99.00 %, NLL 1.0000, ECE 10.00 %, Brier 0.2000, AURC 30.10/1000, agreement with the teacher 90.00 %, KL 0.2000',
  )
  // t with one degree of freedom is 12.706: half = 12.706·0.01
  expect(renderMetrics([makeMetrics({ accuracy: 0.8 }), makeMetrics({ accuracy: 0.82 })])).toMatch(
    /^accuracy 81\.00 ± 12\.71 %, NLL 1\.0000 ± 0\.0000, /,
  )
})

it('leaves out what needs labels where there are none', () => {
  const none = makeMetrics({ accuracy: null, nll: null, ece: null, brier: null, aurc: null })
  expect(renderMetrics([none])).toBe('agreement with the teacher 90.00 %, KL 0.2000')
})
