import { expect, it } from 'vitest'
import { bytes, count, duration, percent } from '../../src/cli/format.js'

it.each([
  [count(1234567.4), '1,234,567'],
  [bytes(0), '0 B'],
  [bytes(999), '999 B'],
  [bytes(1000), '1.0 KB'],
  [bytes(404_000_000), '404 MB'],
  [bytes(1.5e9), '1.5 GB'],
  [bytes(5e15), '5000 TB'],
  [duration(0.04), '0.0 s'],
  [duration(9.94), '9.9 s'],
  [duration(59.4), '59 s'],
  [duration(59.6), '1 min 0 s'],
  [duration(3599.7), '1 h 0 min'],
  [duration(90_061), '25 h 1 min'],
  [duration(Number.POSITIVE_INFINITY), '?'],
  [duration(Number.NaN), '?'],
  [percent(0.93825), '93.83 %'],
  [percent(0.5, 0), '50 %'],
])('%s', (text, expected) => {
  expect(text).toBe(expected)
})
