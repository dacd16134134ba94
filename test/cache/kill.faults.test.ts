import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { createTargets, verifyTargets } from '../../src/cache/index.js'
import { random } from '../../src/random.js'
import { hashFolder, temporaryFolder, withoutTime } from '../helpers/folder.js'
import { CREATED, makePlan, makeRows, writeTargets } from './datasets.js'

// Part of `npm run faults`: 200 kills in all, or DECANT_KILLS; seeded by DECANT_SEED; the moments are the clock's, so a seed only says about when.
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

test.each(['export', 'convert', 'merge'] as const)(
  '%s killed at random moments, and resumed, ends with the bytes of an undisturbed one',
  async (operation) => {
    const root = temporaryFolder()
    await writeTargets(join(root, 'f32'), makePlan(plan))
    await writePart(join(root, 'a'), 0, 1234)
    await writePart(join(root, 'b'), 1234, 3000)
    const start = (out: string) => {
      const process_ = spawn(process.execPath, ['--import', 'tsx', child, operation, root, join(root, out)])
      const begun = new Promise<void>((resolve) => process_.stdout.once('data', () => resolve()))
      let said = ''
      process_.stderr.on('data', (text) => {
        said += text
      })
      const ended = new Promise<number | null>((resolve) => process_.once('exit', resolve))
      return { kill: () => process_.kill('SIGKILL'), begun, ended, said: () => said }
    }
    const whole = start('whole')
    await whole.begun
    const began = performance.now()
    expect(await whole.ended, whole.said()).toBe(0)
    let takes = performance.now() - began
    const expected = hashFolder(join(root, 'whole'), withoutTime)

    const { uniform } = random(seed, operation)
    let [kills, finished] = [0, 0]
    while (kills < KILLS) {
      const out = `out-${finished}`
      const run = start(out)
      await Promise.race([run.begun, run.ended])
      await Promise.race([wait(uniform() * takes * 0.6), run.ended])
      run.kill()
      const code = await run.ended
      if (code === null) {
        kills++
        continue
      }
      expect(code, run.said()).toBe(0)
      expect(hashFolder(join(root, out), withoutTime)).toEqual(expected)
      finished++ // the next kills are of a new one
      takes *= 0.9 // it was over before the kill: the machine has become faster
    }
    const last = start(`out-${finished}`)
    expect(await last.ended, last.said()).toBe(0)
    expect(hashFolder(join(root, `out-${finished}`), withoutTime)).toEqual(expected)
    expect(await verifyTargets(join(root, `out-${finished}`))).toMatchObject({ problems: [] })
    console.log(`${operation}: ${kills} kills over ${finished + 1} outputs of ${Math.round(takes)} ms`)
  },
)
