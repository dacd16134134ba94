import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { createTargets, verifyTargets } from '../../src/cache/index.js'
import { hashFolder, temporaryFolder, withoutTime } from '../helpers/folder.js'
import { killAtRandom, startVictim } from '../helpers/kills.js'
import { CREATED, makePlan, makeRows, writeTargets } from './datasets.js'

// Part of `npm run faults`: 200 kills in all, or DECANT_KILLS, a third of them of the exporter itself (test/teacher/kill.faults.test.ts); seeded by
// DECANT_SEED; the moments are the clock's, so a seed only says about when.
const seed = Number(process.env.DECANT_SEED ?? Date.now() % 2 ** 32)
const KILLS = Math.ceil(Number(process.env.DECANT_KILLS ?? 200) / 3) // of each operation
const plan = { rows: 3000, rowsPerShard: 40, rowsPerBatch: 16 }
const child = fileURLToPath(new URL('derive-child.ts', import.meta.url))

console.log(`kills: DECANT_SEED=${seed}`)

async function writePart(dir: string, from: number, to: number): Promise<void> {
  const part = makePlan(plan)
  part.source = { ...part.source, range: { from, to } }
  const writer = await createTargets(dir, part)
  for (let row = from, shard = 0; row < to; row += plan.rowsPerShard, shard++) {
    await writer.beginShard(shard)
    await writer.append(makeRows(part, row, Math.min(to, row + plan.rowsPerShard)))
    await writer.endShard()
  }
  await writer.finish({ created: CREATED })
}

test.each(['convert', 'merge'] as const)(
  '%s killed at random moments, and resumed, ends with the bytes of an undisturbed one',
  async (operation) => {
    const root = temporaryFolder()
    await writeTargets(join(root, 'f32'), makePlan(plan))
    await writePart(join(root, 'a'), 0, 1234)
    await writePart(join(root, 'b'), 1234, 3000)
    let expected: ReturnType<typeof hashFolder> | undefined
    await killAtRandom({
      name: operation,
      seed,
      kills: KILLS,
      start: (out) => startVictim(child, operation, root, join(root, out)),
      async check(out) {
        const found = hashFolder(join(root, out), withoutTime)
        expected ??= found
        expect(found).toEqual(expected)
        expect(await verifyTargets(join(root, out))).toMatchObject({ problems: [] })
      },
    })
  },
)
