import { expect, test } from 'vitest'
import { nextTokens } from '../../src/cache/index.js'

test('the label of a position is the next token; none at the last, before padding, and where the token is no class', () => {
  const tokens = [1, 2, 3, 4, /* a shorter one */ 3, 0, -1, -1, /* a token too many */ 1, 9, 2, -1]
  expect([...nextTokens(tokens, { positions: 4, classes: 9 })]).toEqual([2, 3, 4, -1, 0, -1, -1, -1, -1, 2, -1, -1])
})
