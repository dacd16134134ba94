import { expect, test } from 'vitest'
import { compareWithKnown, type Known } from '../../../scripts/conformance/known.js'

const known: Known = [{ kernel: 'Tan', reason: 'float32', specs: ['tan of much'] }]

test('a failure has to be in the list', () => {
  const specs = [
    { name: 'tan of much', status: 'failed' as const },
    { name: 'sin', status: 'failed' as const, message: 'Arrays differ' },
    { name: 'cos', status: 'passed' as const },
  ]
  expect(compareWithKnown(specs, known)).toEqual({ unknown: [specs[1]], mended: [] })
})

test('what is in the list has to fail: the list only shrinks', () => {
  expect(compareWithKnown([{ name: 'tan of much', status: 'passed' }], known).mended).toEqual(['tan of much'])
  expect(compareWithKnown([{ name: 'tan of much', status: 'pending' }], known).mended).toEqual(['tan of much'])
})

test('of specs with the same name, one that fails is enough', () => {
  const specs = ['passed', 'failed'].map((status) => ({ name: 'tan of much', status: status as 'passed' | 'failed' }))
  expect(compareWithKnown(specs, known)).toEqual({ unknown: [], mended: [] })
})
