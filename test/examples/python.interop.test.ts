import { execFileSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { gunzipSync } from 'node:zlib'
import { describe, expect, test } from 'vitest'
import { type CodecName, openTargets } from '../../src/cache/index.js'
import { random } from '../../src/random.js'
import { openSource, readPreprocess } from '../../src/source/index.js'
import { exportTargets } from '../../src/teacher/index.js'
import { makePlan, writeTargets } from '../cache/datasets.js'
import { temporaryFolder } from '../helpers/folder.js'
import { idxBytes } from '../helpers/idx.js'
import { hasPackage, python } from '../helpers/python.js'
import { sourceOf } from '../helpers/sources.js'
import { makeSequences, writeBigramTeacher } from '../helpers/teachers.js'

const example = (name: string, ...args: string[]): string =>
  execFileSync(python, [fileURLToPath(new URL(`../../examples/python/${name}.py`, import.meta.url)), ...args], {
    encoding: 'utf8',
    maxBuffer: 2 ** 28,
    env: offline(),
  })
const offline = () => ({ ...process.env, HF_DATASETS_OFFLINE: '1', HF_HUB_OFFLINE: '1', HF_HOME: temporaryFolder() })
const readers = ['pyarrow', 'datasets', 'polars', 'duckdb']

async function dataset(codec: CodecName): Promise<string> {
  const dir = temporaryFolder()
  await writeTargets(dir, makePlan({ codec, classes: 40 }))
  return dir
}

const codecs = ['f32', 'f16', 'q8', 'hybrid:48', 'topk:5', 'sampled:6'] as const
const labels = [...Array(8).keys()].map((i) => 5 * i) // makePlan's labels: row mod 40, every fifth row none

describe.skipIf(!hasPackage('pyarrow'))('decode.py gives what decant reads', () => {
  test.each(codecs.slice(0, 4))('raw logits of %s', async (codec) => {
    const dir = await dataset(codec)
    const found = JSON.parse(example('decode', dir, '4'))
    const targets = await openTargets(dir)
    const { logits, ids } = await targets.load()
    expect(found.ids).toEqual(ids())
    const off = (found.logits as number[][]).flat().map((z, i) => Math.abs(z - logits[i]!))
    expect(Math.max(...off)).toBeLessThan(2e-6 * Math.max(...logits.map(Math.abs)))
    await targets.close()
  })

  test.each(codecs.slice(4).flatMap((codec) => [0.5, 4, 20].map((T) => [codec, T] as const)))(
    'likeliest classes and the tail of %s at T = %s',
    async (codec, temperature) => {
      const dir = await dataset(codec)
      const found = JSON.parse(example('decode', dir, `${temperature}`)) as {
        index: number[][]
        log_p: number[][]
        log_tail: number[]
        draws?: number[][]
      }
      const targets = await openTargets(dir)
      const { buckets } = await targets.load()
      const { k, logits } = buckets
      const tail = buckets.logTail(temperature)
      expect(found.index.flat()).toEqual([...buckets.index])
      found.log_p.forEach((row, i) => {
        const z = [...logits.subarray(i * k, (i + 1) * k)].map((value) => value / temperature)
        const most = Math.max(...z, tail[i]!)
        const total = most + Math.log([...z, tail[i]!].reduce((sum, value) => sum + Math.exp(value - most), 0))
        row.forEach((value, j) => {
          expect(value).toBeCloseTo(z[j]! - total, 4)
        })
        expect(found.log_tail[i]!).toBeCloseTo(tail[i]! - total, 4)
        if (!buckets.count) return
        const count = buckets.count.subarray(i * k, (i + 1) * k)
        const raw = z.map((value, j) => count[j]! * Math.exp(value - logits[i * k + j]!))
        const drawn = raw.reduce((sum, value) => sum + value, 0)
        found.draws![i]!.forEach((value, j) => {
          expect(value).toBeCloseTo(raw[j]! / drawn, 4)
        })
      })
      await targets.close()
    },
  )
})

test.skipIf(!hasPackage('pyarrow'))(
  'decode.py decodes targets by position, with the logits of the next tokens',
  async () => {
    const [dir, rows, length, vocabulary] = [temporaryFolder(), 20, 6, 11]
    const stream = random('decode')
    writeBigramTeacher(
      join(dir, 'teacher.onnx'),
      Float32Array.from({ length: vocabulary ** 2 }, () => 4 * stream.normal()),
    )
    const { tokens } = makeSequences(stream, { rows, length, vocabulary })
    const source = sourceOf({ kind: 'tokens', dtype: 'int32', shape: [length] }, tokens)
    const options = { source, teacher: join(dir, 'teacher.onnx'), provider: 'cpu', batch: 8 } as const
    for (const codec of ['f16', 'topk:3', 'sampled:3'] as const) {
      await exportTargets({ ...options, codec, out: join(dir, codec) })
      const found = JSON.parse(example('decode', join(dir, codec), '4'))
      const targets = await openTargets(join(dir, codec))
      const all = await targets.load()
      if (codec === 'f16') expect(found.logits.flat()).toEqual([...all.logits])
      else {
        expect(found.index.flat()).toEqual([...all.buckets.index])
        expect(found.label_logit).toEqual(Array.from(all.buckets.labelLogit!, (z) => (Number.isNaN(z) ? null : z)))
        expect(found.label_logit.filter((z: number | null) => z !== null)).toHaveLength(
          tokens.filter((token, at) => at % length !== 0 && token >= 0).length,
        )
      }
      await targets.close()
    }
  },
)

describe.each(codecs)('the columns of %s are read by', (codec) => {
  test.skipIf(!hasPackage('datasets'))('Hugging Face datasets', async () => {
    expect(example('read_datasets', await dataset(codec))).toContain('\n100 row/0-ü')
  })

  test.skipIf(!hasPackage('polars'))('polars', async () => {
    const lines = example('read_polars', await dataset(codec)).split('\n')
    expect(lines).toContain(',20') // the rows without a label
    expect(lines.filter((line) => /^\d+,\d+$/.test(line))).toHaveLength(32)
  })

  test.skipIf(!hasPackage('duckdb'))('DuckDB', async () => {
    const lines = example('read_duckdb', await dataset(codec)).split('\n')
    expect(lines).toContain('None,20')
    expect(lines.filter((line) => /^\d+,\d+$/.test(line))).toHaveLength(40 - labels.length)
  })

  test.skipIf(!readers.every(hasPackage))('all three: every value of every column as pyarrow has it', async () => {
    const script = fileURLToPath(new URL('compare-readers.py', import.meta.url))
    const said = execFileSync(python, [script, await dataset(codec)], { encoding: 'utf8', env: offline() })
    expect(JSON.parse(said)).toEqual({ rows: 100, polars: true, datasets: true, duckdb: true })
  })
})

test.skipIf(!hasPackage('torch') || !hasPackage('pyarrow'))(
  'train.py trains a student on the inputs that the dataset holds',
  async () => {
    const dir = temporaryFolder()
    const rows = 1500
    const part = (name: string, shape: number[], header: number) => {
      const path = join(dir, name)
      const bytes = shape.reduce((product, n) => product * n, 1)
      const all = gunzipSync(readFileSync(`data/${name}.gz`))
      writeFileSync(path, idxBytes(shape, all.subarray(header, header + bytes)))
      return path
    }
    part('t10k-labels-idx1-ubyte', [rows], 8)
    const preprocess = await readPreprocess('data/preprocess.json')
    const source = await openSource(part('t10k-images-idx3-ubyte', [rows, 28, 28], 16), { preprocess })
    const out = join(dir, 'targets')
    await exportTargets({ source, teacher: 'data/teacher.onnx', out, storeInputs: true })
    await source.close()
    const said = example('train', out, '4')
    const losses = [...said.matchAll(/loss ([\d.]+)/g)].map((match) => Number(match[1]))
    expect(losses).toHaveLength(10)
    expect(losses.at(-1)!).toBeLessThan(losses[0]! / 2)
    expect(Number(/on ([\d.]+)%/.exec(said)![1])).toBeGreaterThan(75)
  },
)
