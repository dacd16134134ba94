import { join } from 'node:path'
import { expect, it } from 'vitest'
import { hashFolder, temporaryFolder, withoutTime } from '../helpers/folder.js'
import { writeIdx } from '../helpers/idx.js'
import { killAtRandom, startVictim } from '../helpers/kills.js'
import { writeLinearTeacher } from '../helpers/teachers.js'

// Part of `npm run faults`: the exporter's third of its kills (test/cache/kill.faults.test.ts has the others), DECANT_KILLS and DECANT_SEED as there.
const seed = Number(process.env.DECANT_SEED ?? Date.now() % 2 ** 32)
const KILLS = Math.ceil(Number(process.env.DECANT_KILLS ?? 200) / 3)

console.log(`kills of the exporter: DECANT_SEED=${seed}`)

it(`survives kill -9 at ${KILLS} random moments: the resumed folder is byte-identical to an uninterrupted one`, async () => {
  const dir = temporaryFolder()
  const { images } = writeIdx(dir, { rows: 30_000, side: 8, classes: 100 })
  writeLinearTeacher(join(dir, 'teacher.onnx'), { side: 8, classes: 100 })
  const flags = ['--batch', '32', '--shard-mb', '0.25', '--provider', 'cpu', '--json']
  const command = ['export', images, '--teacher', join(dir, 'teacher.onnx'), ...flags]
  let expected: ReturnType<typeof hashFolder> | undefined
  let resumed = 0
  await killAtRandom({
    name: 'export of the command',
    seed,
    kills: KILLS,
    start(out) {
      const run = startVictim('src/cli/main.ts', ...command, '--out', join(dir, out))
      void run.ended.then(() => {
        if (run.said().includes('"type":"resume"')) resumed++
      })
      return { ...run, begun: run.heard('"type":"batch"') } // what comes before writes nothing
    },
    async check(out) {
      const found = hashFolder(join(dir, out), withoutTime)
      expected ??= found
      expect(found).toEqual(expected)
    },
  })
  expect(Object.keys(expected!)).toContain('manifest.json')
  expect(resumed).toBeGreaterThan(0)
  console.log(`${resumed} runs went on from shards that a killed one had finished`)
})
