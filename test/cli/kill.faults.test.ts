import { cp } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { verifyTargets } from '../../src/cache/index.js'
import { makePlan, writeTargets } from '../cache/datasets.js'
import { hashFolder, temporaryFolder, withoutTimes } from '../helpers/folder.js'
import { writeIdx } from '../helpers/idx.js'
import { killAtRandom, startVictim } from '../helpers/kills.js'
import { writeLinearTeacher } from '../helpers/teachers.js'
import { runCommand } from './output.js'

// Part of `npm run faults`: 60 kills each of the commands that write students, and of license; fewer where DECANT_KILLS is below 200; seeded by
// DECANT_SEED. The moments are the clock's, so a seed only says about when.
const seed = Number(process.env.DECANT_SEED ?? Date.now() % 2 ** 32)
const KILLS = Math.ceil(Number(process.env.DECANT_KILLS ?? 200) * 0.3)
const child = fileURLToPath(new URL('command-child.ts', import.meta.url))

console.log(`kills of commands: DECANT_SEED=${seed}`)

/** Targets of 1,200 images, in `targets`. */
async function writeExample(dir: string): Promise<void> {
  const { images } = writeIdx(dir, { rows: 1200, side: 8, classes: 10 })
  writeLinearTeacher(join(dir, 'teacher.onnx'), { side: 8, classes: 10 })
  await runCommand('export', images, '--teacher', join(dir, 'teacher.onnx'), '--out', join(dir, 'targets'))
}

const training = ['--epochs', '4', '--batch', '32', '--threads', '1']

test.each([
  ['train', ['--student', 'mlp:64', '--optimizer', 'adamw', '--patience', '4', ...training]],
  ['train', ['--student', 'linear', '--seed', '1,2,3', ...training]],
  [
    'sweep',
    ['--student', 'linear', '--student', 'mlp:16', '-T', '2,4', '--seed', '1', '--jobs', '2', ...training.slice(0, 4)],
  ],
  ['chain', ['--student', 'mlp:16', '--student', 'linear', ...training]],
])(
  '%s %j killed at random moments, and run again, ends with the bytes of an undisturbed one',
  async (command, flags) => {
    const dir = temporaryFolder()
    await writeExample(dir)
    let expected: ReturnType<typeof hashFolder> | undefined
    await killAtRandom({
      name: `${command} ${flags.slice(0, 2).join(' ')}`,
      seed,
      kills: command === 'train' ? Math.ceil(KILLS / 2) : KILLS,
      start: (out) => startVictim(child, command, join(dir, 'targets'), ...flags, '--out', join(dir, out)),
      async check(out) {
        const found = hashFolder(join(dir, out), withoutTimes)
        expected ??= found
        expect(found).toEqual(expected)
      },
    })
    const left = Object.keys(expected!).filter((path) => /checkpoint|training\.json|lock|\.tmp$/.test(path))
    expect(left).toEqual([])
  },
)

test('license killed at random moments leaves a sound dataset, and run again ends with the bytes of an undisturbed one', async () => {
  const dir = temporaryFolder()
  await writeTargets(join(dir, 'targets'), makePlan({ rows: 3000, rowsPerShard: 40, rowsPerBatch: 16 }))
  let expected: ReturnType<typeof hashFolder> | undefined
  const check = async (out: string) => {
    expect((await verifyTargets(join(dir, out))).problems).toEqual([])
    const found = hashFolder(join(dir, out))
    expected ??= found
    expect(found).toEqual(expected)
  }
  await killAtRandom({
    name: 'license',
    seed,
    kills: KILLS,
    prepare: (out) => cp(join(dir, 'targets'), join(dir, out), { recursive: true }),
    start: (out) => startVictim(child, 'license', join(dir, out), '--license', 'mit', '--teacher-license', 'mit'),
    async onKilled(out) {
      expect((await verifyTargets(join(dir, out))).problems).toEqual([])
    },
    check,
  })
})
