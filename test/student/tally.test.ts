import { describe, expect, it } from 'vitest'
import { random } from '../../src/random.js'
import { createTally, type Tally, tallySchema } from '../../src/student/tally.js'

const BINS = 15
const mean = (values: number[]) => values.reduce((a, b) => a + b, 0) / values.length

/** The definitions, written out over plain arrays. */
function reference(table: number[][], labels: number[]) {
  const rows = table.flatMap((z, i) => {
    const label = labels[i]!
    if (label < 0) return []
    const e = z.map((x) => Math.exp(x - Math.max(...z)))
    const sum = e.reduce((a, b) => a + b)
    const p = e.map((x) => x / sum)
    const order = z.map((_, c) => c).sort((a, b) => z[b]! - z[a]! || a - b)
    const others = e.filter((_, c) => c !== order[0]).reduce((a, b) => a + b, 0)
    return [{ p, label, order, sure: p[order[0]!]!, uncertainty: others / sum, hit: Number(order[0] === label) }]
  })
  const bins = Array.from({ length: BINS }, (_, m) =>
    rows.filter(({ sure }) => sure > m / BINS && sure <= (m + 1) / BINS),
  )
  const meanOf = <T>(some: T[], of: (row: T) => number) => (some.length > 0 ? mean(some.map(of)) : null)
  const surest = [...rows].sort((a, b) => a.uncertainty - b.uncertainty)
  const classes = table[0]!.map((_, c) => rows.filter(({ label }) => label === c))
  return {
    accuracy: mean(rows.map(({ hit }) => hit)),
    top5: mean(rows.map(({ order, label }) => Number(order.slice(0, 5).includes(label)))),
    nll: mean(rows.map(({ p, label }) => -Math.log(p[label]!))),
    brier: mean(rows.map(({ p, label }) => p.reduce((s, pc, c) => s + (pc - Number(c === label)) ** 2, 0))),
    ece: bins.reduce(
      (sum, bin) =>
        bin.length === 0
          ? sum
          : sum + (bin.length / rows.length) * Math.abs(mean(bin.map((r) => r.hit)) - mean(bin.map((r) => r.sure))),
      0,
    ),
    aurc: mean(surest.map((_, i) => mean(surest.slice(0, i + 1).map(({ hit }) => 1 - hit)))),
    reliability: {
      rows: bins.map((bin) => bin.length),
      confidence: bins.map((bin) => meanOf(bin, (r) => r.sure)),
      accuracy: bins.map((bin) => meanOf(bin, (r) => r.hit)),
    },
    perClass: { rows: classes.map((c) => c.length), accuracy: classes.map((c) => meanOf(c, (r) => r.hit)) },
  }
}

const draw = (rows: number, classes: number, scale: number) => {
  const { normal, below } = random('tally', rows, classes)
  const table = Array.from({ length: rows }, () => Array.from({ length: classes }, () => Math.fround(scale * normal())))
  const labels = table.map((z) => (below(3) === 0 ? below(classes + 1) - 1 : z.indexOf(Math.max(...z))))
  return { table, labels }
}

const tally = (table: number[][], labels: number[], chunk = table.length): Tally => {
  const counted = createTally(table[0]!.length)
  for (let at = 0; at < table.length; at += chunk) {
    const some = table.slice(at, at + chunk)
    counted.add(Float32Array.from(some.flat()), Int32Array.from(labels.slice(at, at + chunk)))
  }
  return counted.result()
}

const close = (values: (number | null)[]) => values.map((v) => (v === null ? null : expect.closeTo(v, 12)))

describe('createTally', () => {
  it.each([
    [300, 7, 2],
    [200, 20, 8],
  ])('agrees with the definitions in float64: %i rows, %i classes, logits of scale %i', (rows, classes, scale) => {
    const { table, labels } = draw(rows, classes, scale)
    const expected = reference(table, labels)
    const found = tally(table, labels)
    for (const name of ['accuracy', 'top5', 'nll', 'brier', 'ece'] as const) {
      expect(found[name], name).toBeCloseTo(expected[name], 12)
    }
    expect(found.aurc).toBeCloseTo(expected.aurc, 4) // rows whose uncertainty is equal to three digits are ties
    expect(found.reliability).toEqual({
      rows: expected.reliability.rows,
      confidence: close(expected.reliability.confidence),
      accuracy: close(expected.reliability.accuracy),
    })
    expect(found.perClass).toEqual({ rows: expected.perClass.rows, accuracy: close(expected.perClass.accuracy) })
    expect(tallySchema.parse(found)).toEqual(found)
  })

  it('is the same whatever the chunks', () => {
    const { table, labels } = draw(100, 6, 3)
    expect(tally(table, labels, 7)).toEqual(tally(table, labels))
  })

  it('keeps the order of rows that are all but certain', () => {
    // The probabilities of the top class round to 1; the wrong row is the least sure one, then the surest.
    const row = (gap: number) => [gap, 0]
    expect(tally([row(60), row(50), row(40)], [0, 0, 1]).aurc).toBeCloseTo(1 / 3 / 3, 12)
    expect(tally([row(60), row(50), row(40)], [1, 0, 0]).aurc).toBeCloseTo((1 + 1 / 2 + 1 / 3) / 3, 12)
  })

  it('takes the mean over the orders of ties', () => {
    // Right and wrong, equally sure: half of the orders have the risks 0, 1/2, the other half 1, 1/2.
    expect(
      tally(
        [
          [1, 0],
          [1, 0],
        ],
        [0, 1],
      ).aurc,
    ).toBeCloseTo(1 / 2, 12)
  })

  it('says nothing of five classes among five, and nothing but counts without labels', () => {
    const { table } = draw(4, 5, 1)
    expect(tally(table, [0, 1, 2, 3]).top5).toBeNull()
    const { rows, labelled, ...rest } = tally(table, [-1, -1, -1, -1])
    expect([rows, labelled]).toEqual([4, 0])
    expect(Object.values(rest).every((value) => value === null)).toBe(true)
  })
})
