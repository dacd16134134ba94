import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { columnBytes } from '../../../src/cache/columns.js'
import {
  type BucketedCodec,
  type CodecName,
  codecOf,
  columnsOf,
  type DenseCodec,
  halfValues,
  idColumn,
  isCodecName,
  measureFidelity,
  parseCodec,
  rowKeys,
  uniformsOf,
} from '../../../src/cache/index.js'
import { logSumExp, makeLogits, rowsKinds } from './rows.js'

const kindOf = (classes: number) => ({ classes, labelled: true })

/** Rows of 2 to 40 classes; some logits equal, some far apart. */
const table = fc.integer({ min: 2, max: 40 }).chain((classes) =>
  fc.record({
    classes: fc.constant(classes),
    rows: fc.array(
      fc.array(
        fc.oneof(
          fc.float({ min: -30, max: 30, noNaN: true }),
          fc.integer({ min: -3, max: 3 }),
          fc.float({ min: -29_000, max: 29_000, noNaN: true }), // a gap of 60,000 is a masked class: masked.test.ts
        ),
        { minLength: classes, maxLength: classes },
      ),
      { minLength: 1, maxLength: 4 },
    ),
  }),
)
const encoded = ({ rows, classes }: { rows: number[][]; classes: number }, codec: CodecName) => {
  const logits = Float32Array.from(rows.flat())
  const keys = rowKeys({ ids: idColumn(rows.map((_, i) => `row ${i}`)) })
  const labels = Int32Array.from(rows, (_, i) => (i % 3 === 2 ? -1 : i % classes))
  return { logits, labels, columns: codecOf(codec).encode({ logits, classes, labels, keys }) }
}

describe.each(['f32', 'f16', 'q8', 'hybrid:43', 'topk:4', 'sampled:6'] as const)('codec %s', (name) => {
  test('tells the top class of each row without decoding, of equal ones the first that is kept', () => {
    fc.assert(
      fc.property(table, (given) => {
        const { logits, columns, labels } = encoded(given, name)
        const { classes } = given
        const codec = codecOf(name)
        const tops = codec.tops(columns, kindOf(classes), labels)
        // of q8, near ones are equal
        const kept = name === 'q8' ? (codec as DenseCodec).decode(columns, kindOf(classes)) : logits
        given.rows.forEach((_, i) => {
          const row = kept.subarray(i * classes, (i + 1) * classes)
          const largest = [...row.keys()].filter((c) => row[c] === Math.max(...row))
          // a draw may have left them out; the label's gap is kept beside it
          const k = (columns.index?.length ?? 0) / given.rows.length
          const seen = name === 'sampled:6' ? [...columns.index!.subarray(i * k, (i + 1) * k)] : largest
          const ofLabel = largest.find((c) => c === labels[i]) ?? -1
          expect(tops[i]).toBe(largest.find((c) => seen.includes(c)) ?? ofLabel)
        })
      }),
    )
  })

  test('has the columns that it says, and values within their bounds', () => {
    fc.assert(
      fc.property(table, (given) => {
        const { columns } = encoded(given, name)
        const declared = columnsOf({ codec: name, classes: given.classes })
        expect(Object.keys(columns).sort()).toEqual(declared.map((column) => column.name).sort())
        for (const { name, width, below } of declared) {
          expect(columns[name]!.length).toBe(given.rows.length * width)
          if (below) expect(Math.max(...columns[name]!)).toBeLessThan(below)
        }
      }),
    )
  })

  test('encodes a row the same way alone and among others', () => {
    fc.assert(
      fc.property(table, ({ rows, classes }) => {
        const all = encoded({ rows, classes }, name).columns
        const first = encoded({ rows: rows.slice(0, 1), classes }, name).columns
        for (const [name, values] of Object.entries(first)) expect(values).toEqual(all[name]!.slice(0, values.length))
      }),
    )
  })
})

/** Whether no value of `found` is above that of a larger logit. */
const isOrdered = (z: Float32Array, found: Float32Array) => {
  const falling = [...z.keys()].sort((a, b) => z[b]! - z[a]! || found[b]! - found[a]!)
  return falling.every((c, i) => i === 0 || found[c]! <= found[falling[i - 1]!]!)
}

/** The row's top logit: of two zeros the one that the codec took, as their signs are the same to softmax. */
function topOf(z: Float32Array, shift: number): number {
  expect(Math.max(...z) === shift).toBe(true)
  return shift
}
const zeros = [
  {
    classes: 4,
    rows: [
      [-0, 0, 0, 0],
      [0, -0, -1, -0],
    ],
  },
] as [{ classes: number; rows: number[][] }]

test('q8 gives the top logit back exactly, keeps the order, and no gap is off by more than half its widest step', () => {
  const codec = codecOf('q8') as DenseCodec
  fc.assert(
    fc.property(table, (given) => {
      const { logits, columns } = encoded(given, 'q8')
      const { classes } = given
      const found = codec.decode(columns, kindOf(classes))
      given.rows.forEach((_, row) => {
        const z = logits.subarray(row * classes, (row + 1) * classes)
        const top = topOf(z, columns.shift![row]!)
        const widest = Math.min(top - Math.min(...z), 65504)
        expect(isOrdered(z, found.subarray(row * classes, (row + 1) * classes))).toBe(true)
        z.forEach((value, c) => {
          const back = found[row * classes + c]!
          if (value === top) expect(back).toBe(top)
          const exact = Math.max(value, top - 65504)
          expect(Math.abs(back - exact)).toBeLessThanOrEqual(
            (widest * 2) / 255 / 1.9 + 1e-6 * (widest + Math.abs(top)) + 2 ** -126,
          )
        })
      })
    }),
    { examples: [zeros] },
  )
})

test('q8 has half a level of 255 under the square root', () => {
  const widest = 6.5
  const { columns } = encoded({ rows: [[0, -1, -4, -widest]], classes: 4 }, 'q8')
  expect([...columns.q!]).toEqual([0, 1, 4, widest].map((gap) => Math.round(255 * Math.sqrt(gap / widest))))
})

describe('codec hybrid', () => {
  const codec = codecOf('hybrid:43') as DenseCodec

  /** FORMAT.md's text on one row. */
  function gapsOf(bytes: Uint8Array, edges: number[], classes: number): number[] {
    const text = [...bytes].map((byte) => byte.toString(2).padStart(8, '0').split('').reverse().join('')).join('')
    const number = (at: number, width: number) => Number(`0b0${[...text.slice(at, at + width)].reverse().join('')}`)
    let at = 24 + 3 * classes
    return Array.from({ length: classes }, (_, c) => {
      const bin = number(24 + 3 * c, 3)
      const width = number(3 * bin, 3)
      const [from, to] = [bin === 0 ? 0 : edges[bin - 1]!, edges[bin]!]
      const fine = number(at, width)
      at += width
      return from + ((to - from) / 2 ** width) * (bin === 0 ? fine : fine + 0.5)
    })
  }

  test('is what the format says, gives the top logit back exactly and keeps the order', () => {
    fc.assert(
      fc.property(table, (given) => {
        const { logits, columns } = encoded(given, 'hybrid:43')
        const { classes } = given
        const found = codec.decode(columns, kindOf(classes))
        given.rows.forEach((_, row) => {
          const z = logits.subarray(row * classes, (row + 1) * classes)
          const edges = Array.from(columns.edges!.subarray(row * 8, row * 8 + 8), (half) => halfValues[half]!)
          const width = Math.min(23, Math.ceil((24 + 10 * classes) / 8))
          const bits = columns.bits!.subarray(row * width, (row + 1) * width) as Uint8Array
          const gaps = gapsOf(bits, edges, classes)
          const top = topOf(z, columns.shift![row]!)
          expect(edges[7]).toBeCloseTo(Math.min(top - Math.min(...z), 65504), -2)
          expect(isOrdered(z, found.subarray(row * classes, (row + 1) * classes))).toBe(true)
          z.forEach((value, c) => {
            const back = found[row * classes + c]!
            expect(back).toBe(Math.fround(top - gaps[c]!))
            if (value === top) expect(back).toBe(top)
            else if (top - value > 1e-3 && Math.abs(top) < 100) expect(back).toBeLessThan(top)
          })
        })
      }),
      { examples: [zeros] },
    )
  })

  test('keeps soft targets of 1000 classes to 1e-3 in KL on average in 600 bytes, at T = 1 to 8', () => {
    expect(columnBytes(columnsOf({ codec: 'hybrid:600', classes: 1000 }))).toBe(600)
    for (const kind of rowsKinds) {
      const logits = makeLogits(kind, { rows: 24, classes: 1000 })
      const { temperatures } = measureFidelity({ logits, classes: 1000, codec: 'hybrid:600' })
      for (const { temperature, klClasses } of temperatures.filter(({ temperature: T }) => T >= 1 && T <= 8)) {
        expect(klClasses.mean, `${kind}, T = ${temperature}`).toBeLessThan(1e-3)
        expect(klClasses.worst, `${kind}, T = ${temperature}`).toBeLessThan(3e-3)
      }
    }
  })

  test('writes these bytes', () => {
    const { columns } = encoded({ rows: [[5, 4, 3, 1.5, -20]], classes: 5 }, 'hybrid:26')
    expect(Buffer.from(columns.bits as Uint8Array).toString('hex')).toBe('810801d07afa')
    expect(Array.from(columns.edges!, (half) => halfValues[half]!)).toEqual([
      0.0108489990234375, 0.87890625, 1.0849609375, 2.126953125, 3.13671875, 3.515625, 23.96875, 25,
    ])
    expect([...columns.shift!]).toEqual([5])
  })

  test('takes four bits a class or more, and refuses a row that has not the bits that it speaks of', () => {
    expect(() => columnsOf({ codec: 'hybrid:80', classes: 1000 })).toThrow('1000 classes need at least hybrid:523')
    const { columns } = encoded({ rows: [[5, 4, 3, 2]], classes: 4 }, 'hybrid:43')
    columns.bits!.fill(0xff)
    const many = codecOf('hybrid:26') as DenseCodec
    expect(() => many.decode({ ...columns, bits: columns.bits!.subarray(0, 6) }, kindOf(4))).toThrow(
      'a row of 64 bits, expected 48 at most',
    )
  })
})

describe.each(['topk:4', 'topk:100', 'sampled:6', 'sampled:100'] as const)('bucketed codec %s', (name) => {
  const codec = codecOf(name) as BucketedCodec
  test('keeps distinct classes, their logits, the label, the moments and the mass of the others', () => {
    fc.assert(
      fc.property(table, fc.double({ min: 0.5, max: 20, noNaN: true }), (given, temperature) => {
        const { logits, labels, columns } = encoded(given, name)
        const { classes } = given
        const buckets = codec.decode(columns, kindOf(classes))
        const { k, index, labelLogit, mean, std } = buckets
        expect(k).toBe(Math.min(Number(name.split(':')[1]), classes - 1))
        const tails = buckets.logTail(temperature)
        given.rows.forEach((_, row) => {
          const z = logits.subarray(row * classes, (row + 1) * classes)
          const top = Math.max(...z)
          // float16 has 11 significant bits, of gaps cut at 65504; float32 the rest.
          const near = (found: number, exact: number) => {
            const gap = Math.min(top - exact, 65504)
            expect(Math.abs(found - (top - gap))).toBeLessThanOrEqual(
              2 ** -11 * Math.abs(gap) + 2 ** -22 * Math.abs(top) + 1e-7,
            )
          }
          const head = index.subarray(row * k, (row + 1) * k)
          expect(new Set(head).size).toBe(k)
          head.forEach((c, slot) => {
            near(buckets.logits[row * k + slot]!, z[c]!)
            if (slot > 0) expect(z[c]).toBeLessThanOrEqual(z[head[slot - 1]!]!)
          })
          if (labels[row]! < 0) expect(labelLogit![row]).toBeNaN()
          else near(labelLogit![row]!, z[labels[row]!]!)
          const average = z.reduce((sum, v) => sum + v / classes, 0)
          near(mean[row]!, average)
          const deviation = Math.sqrt(z.reduce((sum, v) => sum + (v - average) ** 2, 0) / classes)
          if (deviation < 65504)
            expect(Math.abs(std[row]! - deviation)).toBeLessThanOrEqual(
              2 ** -10 * deviation + 1e-6 * Math.abs(top) + 1e-7,
            )
          // Mass of the others between that of their largest and n times that, and near the truth where the gaps are moderate.
          const tail = [...z].filter((_, c) => !head.includes(c))
          if (top - Math.min(...z) > 60) return
          const exact = logSumExp(tail.map((v) => v / temperature))
          expect(Math.abs(tails[row]! - exact)).toBeLessThan(0.06)
        })
      }),
      { numRuns: 200 },
    )
  })
})

test('topk keeps the largest; of equal ones the first classes', () => {
  const { columns } = encoded({ rows: [[1, 3, 3, 2, 3]], classes: 5 }, 'topk:4')
  expect([...columns.index!]).toEqual([1, 2, 4, 3])
  expect([...columns.logits!].map((half) => halfValues[half])).toEqual([-0, -0, -0, -1].map((gap) => gap + 0))
})

describe('codec sampled', () => {
  const classes = 30
  const codec = codecOf('sampled:8') as BucketedCodec
  const row = Float32Array.from({ length: classes }, (_, c) => 3 * Math.sin(c * c))

  test('draws k in all, and what is not drawn is the likeliest of the rest', () => {
    const { columns } = encoded({ rows: [[...row]], classes }, 'sampled:8')
    const { index, count } = codec.decode(columns, kindOf(classes))
    expect(count!.reduce((sum, n) => sum + n, 0)).toBe(8)
    const drawn = [...index].filter((_, slot) => count![slot]! > 0)
    const filled = [...index].filter((_, slot) => count![slot] === 0)
    const rest = [...row.keys()].filter((c) => !drawn.includes(c)).sort((a, b) => row[b]! - row[a]!)
    expect(filled).toEqual(rest.slice(0, filled.length))
  })

  test('count / k is unbiased for the soft targets at T = 1', () => {
    const rows = 4000
    const logits = new Float32Array(rows * classes)
    for (let i = 0; i < rows; i++) logits.set(row, i * classes)
    const keys = rowKeys({ ids: idColumn(Array.from({ length: rows }, (_, i) => `sample-${i}`)) })
    const { index, count } = codec.decode(codec.encode({ logits, classes, keys }), kindOf(classes))
    const mean = new Float64Array(classes)
    index.forEach((c, i) => {
      mean[c]! += count![i]! / 8 / rows
    })
    row.forEach((z, c) => {
      const p = Math.exp(z - logSumExp(row))
      // five standard errors of 32,000 draws
      expect(Math.abs(mean[c]! - p)).toBeLessThan(5 * Math.sqrt((p * (1 - p)) / (8 * rows)) + 1e-9)
    })
  })

  test('draws by id, view and position, however rows are grouped', () => {
    const ids = idColumn(['a', 'b', 'a'])
    const keys = rowKeys({ ids, view: Int32Array.of(0, 0, 1) })
    expect(new Set(keys).size).toBe(3)
    expect(rowKeys({ ids })[2]).toBe(rowKeys({ ids })[0])
    const all = uniformsOf(keys, { positions: 2, width: 5 })
    expect(uniformsOf(keys.subarray(1, 2), { positions: 2, width: 5 })).toEqual(all.slice(10, 20))
    expect(new Set(all).size).toBe(30)
    for (const u of all) expect(u >= 0 && u < 1).toBe(true)
  })
})

test('codecs by name: known ones, and none else', () => {
  for (const name of ['f32', 'q8', 'topk:1', 'topk:65536', 'sampled:255', 'hybrid:16777216'])
    expect(parseCodec(name)).toBe(name)
  for (const name of [
    '',
    'F16',
    'zip',
    'topk',
    'topk:',
    'topk:0',
    'topk:01',
    'topk:1.5',
    'topk:65537',
    'hybrid:16777217',
    'sampled:256',
    'f16:2',
    'constructor',
    7,
  ])
    expect(isCodecName(name)).toBe(false)
  expect(() => parseCodec('topk:0')).toThrow(/expected a codec, one of f32, f16, .*found 'topk:0'/)
  expect(() => columnsOf({ codec: 'topk:3', classes: 1 })).toThrow('found 1')
})
