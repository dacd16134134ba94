/**
 * The tail's mass at 25 temperatures from 0.5 to 20, against float64: share of rows within 1 %, and the worst row; rows of four kinds and
 * the example's teacher on its 10,000 test images.
 *
 *   npx tsx scripts/bench/codecs/tail.ts [--scale 1]
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { exportTargets, openSource, openTargets, readPreprocess } from '../../../src/index.js'
import { makeLogits, rowsKinds } from '../../../test/cache/codecs/rows.js'
import { shareWithin, tailErrors } from '../../../test/cache/codecs/tail-errors.js'

const { values } = parseArgs({ options: { scale: { type: 'string', default: '1' } } })
const scale = Number(values.scale)
const sizes = [
  { classes: 10, k: 3, rows: 10_000 },
  { classes: 100, k: 8, rows: 4000 },
  { classes: 1000, k: 16, rows: 1000 },
  { classes: 50257, k: 16, rows: 100 },
]

console.log('| rows | classes | k | number | within 1 % | worst |')
console.log('|---|---|---|---|---|---|')
const print = (name: string, size: { classes: number; k: number }, errors: Float64Array) => {
  const cells = [name, size.classes, size.k, errors.length, `${(100 * shareWithin(errors, 0.01)).toFixed(2)} %`]
  console.log(`| ${[...cells, `${(100 * errors.reduce((a, b) => Math.max(a, b), 0)).toFixed(2)} %`].join(' | ')} |`)
}
for (const kind of rowsKinds)
  for (const size of sizes) {
    const rows = Math.max(1, Math.round(size.rows * scale))
    print(kind, size, tailErrors(makeLogits(kind, { ...size, rows }), size))
  }

const preprocess = await readPreprocess('data/preprocess.json')
const source = await openSource('data/t10k-images-idx3-ubyte.gz', { preprocess })
const out = await mkdtemp(join(tmpdir(), 'decant-tail-'))
try {
  await exportTargets({ source, teacher: 'data/teacher.onnx', out, codec: 'f32', provider: 'cpu' })
  const targets = await openTargets(out)
  const { logits } = await targets.load()
  for (const k of [2, 3, 5]) print("the example's teacher", { classes: 10, k }, tailErrors(logits, { classes: 10, k }))
  await targets.close()
} finally {
  await source.close()
  await rm(out, { recursive: true })
}
