import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import { openTargets } from '../../src/cache/index.js'
import { temporaryFolder } from '../helpers/folder.js'
import { makePlan, writeTargets } from './datasets.js'

const python = process.env.DECANT_PYTHON ?? 'python3'
const run = promisify(execFile)
const missing = await run(python, ['-c', 'import pyarrow, datasets']).then(
  () => undefined,
  (error: Error) => error.message.trim().split('\n').at(-1),
)
if (missing)
  console.warn(
    `SKIPPED test/cache/python.interop.test.ts: ${python} has no pyarrow and datasets (${missing}); set DECANT_PYTHON`,
  )

const SCHEMAS = {
  f32: 'id: string not null\nlabel: int32\nlogits: fixed_size_list<item: float not null>[3] not null\n  child 0, item: float not null',
  f16: 'id: string not null\nlabel: int32\nlogits: fixed_size_list<item: halffloat not null>[3] not null\n  child 0, item: halffloat not null\nshift: float not null',
}

test.skipIf(missing).each(['f32', 'f16'] as const)(
  'pyarrow and datasets read what decant reads, bit for bit (%s)',
  async (codec) => {
    const dir = temporaryFolder()
    await writeTargets(dir, makePlan({ codec }))
    const script = fileURLToPath(new URL('read-targets.py', import.meta.url))
    const { stdout } = await run(python, [script, dir], { maxBuffer: 2 ** 26 })
    const found = JSON.parse(stdout)

    const targets = await openTargets(dir)
    const { ids, labels, logits, rows } = await targets.load()
    await targets.close()
    const bits = Buffer.from(logits.buffer)
    const expected = {
      ids: ids(),
      labels: [...labels].map((label) => (label < 0 ? null : label)),
      logits: Array.from({ length: rows }, (_, row) => bits.toString('hex', row * 12, row * 12 + 12)),
    }
    expect(found.schema).toBe(SCHEMAS[codec])
    for (const reader of ['file', 'stream', 'datasets', 'card']) expect(found[reader], reader).toEqual(expected)
  },
)
