import { describe, expect, it } from 'vitest'
import { codecOf } from '../../src/cache/index.js'
import { random } from '../../src/random.js'
import { createAccuracy } from '../../src/teacher/accuracy.js'

/** Rows whose top class is `tops`, of `classes`. */
function countedOf(labels: number[], tops: number[], classes: number) {
  const counted = createAccuracy({ codec: 'f32', classes })
  const logits = new Float32Array(tops.length * classes)
  tops.forEach((top, row) => {
    logits[row * classes + top] = 1
  })
  counted.add(Int32Array.from(labels), codecOf('f32').encode({ logits, classes }))
  return counted.result()
}

/** As many rows as a table of label (down) and top class (across) says. */
function tableOf(table: number[][]) {
  const [labels, tops]: [number[], number[]] = [[], []]
  table.forEach((row, label) => {
    row.forEach((count, top) => {
      labels.push(...Array<number>(count).fill(label))
      tops.push(...Array<number>(count).fill(top))
    })
  })
  return countedOf(labels, tops, table.length)!
}

describe("the teacher's accuracy against chance", () => {
  it('has the chance of kappa, as Stata prints it for the same table', () => {
    // Statalist 2009-12, msg00320: `kap` of 1,395, 118, 261, 158 rows: agreement 80.38 %, expected 70.22 %
    const { accuracy, chance, labelled, atChance } = tableOf([
      [1395, 118],
      [261, 158],
    ])
    expect({ labelled, atChance }).toEqual({ labelled: 1932, atChance: false })
    expect(accuracy).toBeCloseTo(0.8038302277432712, 12)
    expect(chance).toBeCloseTo(0.7022330671398995, 12)
  })

  it('warns up to 2.326 standard errors of no agreement: of this table a standard error is 0.0220 of kappa', () => {
    // p_e = 0.5, σ = 0.5/√n: 1000 rows agree by chance in up to 50 % + 2.326 · 1.58 % = 53.7 % of them
    const agreeing = (rows: number) =>
      tableOf([
        [rows / 2, (1000 - rows) / 2],
        [(1000 - rows) / 2, rows / 2],
      ]).atChance
    expect([500, 536, 538, 1000, 300].map(agreeing)).toEqual([true, true, false, false, true])
  })

  it('warns once in a hundred times where there is nothing but chance', () => {
    const { below } = random('chance')
    const draws = 2000
    let quiet = 0
    for (let draw = 0; draw < draws; draw++) {
      const drawn = () => Array.from({ length: 200 }, () => below(10) % 4) // classes 0 and 1 more often
      if (!countedOf(drawn(), drawn(), 4)!.atChance) quiet++
    }
    // the normal quantile of so few rows is off by a few tenths of a per cent
    expect(quiet / draws).toBeGreaterThan(0.003)
    expect(quiet / draws).toBeLessThan(0.022)
  })

  it('warns of a teacher that says one class, and not of a good one on labels that are nearly all, or all, of one', () => {
    const skewed = Array.from({ length: 1000 }, (_, row) => (row < 990 ? 0 : 1))
    expect(countedOf(skewed, Array(1000).fill(0), 2)).toMatchObject({ accuracy: 0.99, chance: 0.99, atChance: true })
    expect(countedOf(skewed, skewed, 2)!.atChance).toBe(false)
    expect(countedOf(skewed, skewed.with(0, 1).with(999, 0), 2)!.atChance).toBe(false)
    const one = Array<number>(1000).fill(3)
    expect(countedOf(one, one.with(0, 1), 10)).toMatchObject({ chance: 0.1, atChance: false })
    expect(countedOf(one, Array(1000).fill(1), 10)).toMatchObject({ accuracy: 0, atChance: true })
  })

  it('says nothing of chance where there are too few rows to tell, and nothing at all without labels', () => {
    expect(countedOf([0, 1, 0], [0, 1, 0], 2)).toMatchObject({ labelled: 3, accuracy: 1, atChance: false })
    expect(countedOf([-1, -1], [0, 1], 2)).toBeUndefined()
  })
})
