import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { formatCard, writeCard } from '../../src/cache/card.js'
import { measureFigures, TEMPERATURES } from '../../src/cache/figures.js'
import { type ChunkOptions, licenseTargets, type Manifest, openTargets } from '../../src/cache/index.js'
import { checkLicences, hubLicence } from '../../src/cache/licences.js'
import { formatManifest } from '../../src/cache/manifest.js'
import { temporaryFolder } from '../helpers/folder.js'
import { labelOf, logitsOf, makePlan, readFolder, writeTargets } from './datasets.js'

/** softmax(z/T) in float64, straight from the formula. */
function soften(row: number, classes: number, T: number): number[] {
  const weights = logitsOf(row, classes).map((z) => Math.exp(z / T))
  const sum = weights.reduce((a, b) => a + b, 0)
  return weights.map((weight) => weight / sum)
}
const mean = (values: number[]) => values.reduce((a, b) => a + b, 0) / values.length

async function figuresOf(dir: string) {
  const targets = await openTargets(dir)
  try {
    return (await measureFigures(targets))!
  } finally {
    await targets.close()
  }
}

describe('figures', () => {
  test.each(['f32', 'topk:4', 'sampled:4', 'sampled:1'] as const)(
    'are those of the rows, from the formula (%s)',
    async (codec) => {
      const dir = temporaryFolder()
      // k + 1 = C: the tail is one class, so that nothing is lost
      await writeTargets(dir, makePlan({ codec, classes: 5 }))
      const { entropy, teacher, rows } = await figuresOf(dir)
      const all = Array.from({ length: 100 }, (_, row) => row)
      expect(rows).toBe(100)
      TEMPERATURES.forEach((T, t) => {
        if (codec === 'sampled:1') return // four classes are left: how they share what they have is not kept
        const expected = mean(all.map((row) => -soften(row, 5, T).reduce((sum, p) => sum + p * Math.log(p), 0)))
        expect(entropy[t]).toBeCloseTo(expected, codec === 'f32' ? 10 : 2)
      })
      const labelled = all.filter((row) => labelOf(row, 5) >= 0)
      const right = (row: number) => {
        const z = logitsOf(row, 5)
        return z.indexOf(Math.max(...z)) === labelOf(row, 5)
      }
      expect(teacher).toMatchObject({
        labelled: labelled.length,
        accuracy: labelled.filter(right).length / labelled.length,
      })
      const binned = teacher!.bins.reduce((sum, bin) => sum + bin.rows * bin.confidence, 0) / labelled.length
      expect(binned).toBeCloseTo(mean(labelled.map((row) => Math.max(...soften(row, 5, 1)))), codec === 'f32' ? 10 : 2)
    },
  )

  test('are of the targets that are numbers: a dataset of somebody else may hold others', async () => {
    const dir = temporaryFolder()
    await writeTargets(dir, makePlan({ rows: 3 }))
    const targets = await openTargets(dir)
    const foreign = {
      ...targets,
      async *chunks() {
        for await (const chunk of targets.chunks())
          yield {
            ...chunk,
            logits: chunk.logits.fill(Number.NaN, 0, 3).fill(Infinity, 3, 4),
            buckets: undefined as never,
          }
      },
    }
    expect(await measureFigures(foreign)).toMatchObject({ rows: 3, targets: 1, teacher: { labelled: 1 } })
    await targets.close()
  })

  test('of a dataset too large to look at whole are of rows evenly spread', async () => {
    const dir = temporaryFolder()
    await writeTargets(dir, makePlan({ rows: 30, classes: 3 }))
    const targets = await openTargets(dir)
    const asked: [number, number][] = []
    const wide = {
      ...targets,
      classes: 3,
      manifest: { ...targets.manifest, positions: 2 ** 19 / 3 }, // counts as 2^19 logits a row: 4 rows
      rows: 30,
      async *chunks({ from = 0, to = 0 }: ChunkOptions = {}) {
        asked.push([from, to])
        for await (const chunk of targets.chunks({ from, to }))
          yield { ...chunk, logits: chunk.logits, buckets: undefined as never, columns: { length: Int32Array.of(1) } }
      },
    }
    expect(await measureFigures(wide)).toMatchObject({ rows: 4, targets: 4, teacher: null })
    expect(asked).toEqual([
      [0, 1],
      [7, 8],
      [15, 16],
      [22, 23],
    ])
    await targets.close()
  })
})

describe('the card', () => {
  async function card(changes: Parameters<typeof makePlan>[0] = {}) {
    const dir = temporaryFolder()
    const manifest = await writeTargets(dir, makePlan(changes))
    return { dir, manifest, text: await readFile(join(dir, 'README.md'), 'utf8') }
  }

  test('says licences, figures and shows the plot', async () => {
    const { dir, text } = await card({ license: 'CC-BY-4.0', teacherLicense: 'Apache-2.0' })
    const { teacher, entropy } = await figuresOf(dir)
    expect(text).toContain('license: cc-by-4.0\n')
    expect(text).toContain('| licence of the data | `CC-BY-4.0` |\n| licence of the teacher | `Apache-2.0` |')
    expect(text).toContain(`| teacher's accuracy | ${(teacher!.accuracy * 100).toFixed(1)} % of 80 labels |`)
    expect(text).toContain(`| mean entropy, nats | ${entropy[1]!.toFixed(3)} at T = 1`)
    expect(text).toMatch(/!\[Mean entropy of the soft targets in nats: .*\]\(plot\.svg\)/)
    expect(await readFile(join(dir, 'plot.svg'), 'utf8')).toMatch(/^<svg .*viewBox="0 0 680 240"[\s\S]*<\/svg>\n$/)
  })

  test('of a dataset without rows has no figures and no plot', async () => {
    const { dir, manifest } = await card()
    const none = { ...manifest, rows: 0, shards: [], source: { ...manifest.source, rows: 0 } }
    await writeCard(dir, formatManifest(none))
    expect([...(await readFolder(dir)).keys()]).not.toContain('plot.svg')
    expect(await readFile(join(dir, 'README.md'), 'utf8')).not.toContain('## Figures')
  })

  test('names the task, as far as the manifest shows it', async () => {
    const { manifest } = await card()
    const task = (changes: Partial<Manifest>) =>
      /task_categories:\n- (.*)/.exec(formatCard({ ...manifest, ...changes }))?.[1]
    const csv = { ...manifest.source, kind: 'csv' }
    expect(task({})).toBe('image-classification')
    expect(task({ source: csv })).toBe('tabular-classification')
    expect(task({ source: csv, preprocess: { text: { length: 4 } } })).toBe('text-classification')
    expect(task({ source: csv, inputs: { kind: 'tokens', shape: [4] }, positions: 4 })).toBe('text-generation')
    expect(task({ source: { ...csv, kind: 'parquet' } })).toBeUndefined()
  })

  test('says how the positions of a sequence lie in a row', async () => {
    const { manifest } = await card()
    const of = (codec: Manifest['codec']) => formatCard({ ...manifest, codec, positions: 4 })
    expect(of('f32')).toContain('- `length` int32: how many of the 4 positions are valid\n- `logits` float32[12]: ')
    expect(of('f32')).toContain('\nlogits = rows[:32]["logits"].reshape(-1, 4, 3)\n')
    expect(of('f16')).toContain(
      '\nlogits = rows[:32]["logits"].reshape(-1, 4, 3).astype("float32") + rows[:32]["shift"].reshape(-1, 4, 1)\n',
    )
    expect(of('q8')).toContain('rows[:32]["scale"].reshape(-1, 4, 1) * (rows[:32]["q"].reshape(-1, 4, 3) / 255) ** 2\n')
    expect(of('topk:2')).toContain('  # of classes rows[:32]["index"].reshape(-1, 4, 2)\n')
  })

  test('keeps names of others from breaking out of its front matter and table', async () => {
    const { manifest } = await card()
    const teacher = { ...manifest.teacher, file: 'a\n---\nlicense: mit | `x`' }
    const text = formatCard({ ...manifest, teacher, license: 'mine"\nlicense: mit' })
    const [, front] = text.split(/^---$/m)
    expect(front).toContain('license: other\nlicense_name: "mine\\"\\nlicense: mit"\n')
    expect(front!.match(/^license:/gm)).toHaveLength(1)
  })
})

test.each([
  ['MIT', 'mit'],
  ['GPL-3.0-or-later', 'gpl-3.0'],
  ['ODbL-1.0', 'odbl'],
  ['CC0-1.0', 'cc0-1.0'],
  ['our own', undefined],
])('%s is %s on the hub', (licence, id) => {
  expect(hubLicence(licence)).toBe(id)
})

describe('licences of a finished dataset', () => {
  test('are stated in manifest and card, and nothing else changes', async () => {
    const stated = { license: 'mit', teacherLicense: 'apache-2.0' }
    const [dir, fresh] = [temporaryFolder(), temporaryFolder()]
    await writeTargets(fresh, makePlan(stated))
    const manifest = await writeTargets(dir, makePlan({ license: null }))
    expect(() => checkLicences(manifest, dir)).toThrow(
      `${dir}: the licence of the data and of the teacher is not stated, and what is shared must say it: decant license ${dir} --license <id> --teacher-license <id>`,
    )
    await writeFile(join(dir, 'manifest.json.sig'), 'of the manifest before')
    await licenseTargets(dir, { license: 'mit' })
    const licensed = await licenseTargets(dir, { teacherLicense: 'apache-2.0' })
    expect(licensed).toMatchObject(stated)
    expect(() => checkLicences(licensed, dir)).not.toThrow()
    const [found, expected] = await Promise.all([readFolder(dir), readFolder(fresh)])
    const parsed = (files: typeof found) => ({ ...JSON.parse(files.get('manifest.json')!.toString()), sha256: '' })
    expect(parsed(found)).toEqual(parsed(expected))
    for (const files of [found, expected]) files.delete('manifest.json')
    expect(found).toEqual(expected)
  })

  test('are refused where they are too long, and nothing is written', async () => {
    const dir = temporaryFolder()
    await writeTargets(dir, makePlan())
    const before = await readFolder(dir)
    await expect(licenseTargets(dir, { license: 'x'.repeat(101) })).rejects.toThrow('license')
    expect(await readFolder(dir)).toEqual(before)
  })
})
