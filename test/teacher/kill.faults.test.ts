import { spawn } from 'node:child_process'
import { existsSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { expect, it } from 'vitest'
import { random } from '../../src/random.js'
import { hashFolder, temporaryFolder, withoutTime } from '../helpers/folder.js'
import { writeIdx } from '../helpers/idx.js'
import { writeLinearTeacher } from '../helpers/teachers.js'

const KILLS = 20
it(`survives kill -9 at ${KILLS} random moments: the resumed folder is byte-identical to an uninterrupted one`, async () => {
  const dir = temporaryFolder()
  const { images } = writeIdx(dir, { rows: 30_000, side: 8, classes: 100 })
  writeLinearTeacher(join(dir, 'teacher.onnx'), { side: 8, classes: 100 })
  const out = join(dir, 'killed')

  const start = (folder: string) => {
    const flags = [
      '--teacher',
      join(dir, 'teacher.onnx'),
      '--out',
      folder,
      '--batch',
      '32',
      '--shard-mb',
      '0.25',
      '--provider',
      'cpu',
      '--json',
    ]
    const child = spawn(process.execPath, ['--import', 'tsx', 'src/cli/main.ts', 'export', images, ...flags])
    let said = ''
    const firstShard = new Promise<void>((resolve) => {
      child.stdout.on('data', (text: Buffer) => {
        said += text
        if (said.includes('"type":"shard"')) resolve()
      })
    })
    child.stderr.on('data', (text: Buffer) => {
      said += text
    })
    const ended = new Promise<number | null>((resolve) => child.on('exit', resolve))
    return { child, firstShard, ended, said: () => said }
  }

  const began = performance.now()
  const whole = start(join(dir, 'whole'))
  await whole.firstShard
  const startup = performance.now() - began
  expect(await whole.ended, whole.said()).toBe(0)
  const writing = performance.now() - began - startup
  const expected = hashFolder(join(dir, 'whole'), withoutTime)

  const stream = random('kills', Date.now())
  let resumed = 0
  for (let kill = 0; kill < KILLS; kill++) {
    const run = start(out)
    // one in four while it starts, the others while it writes
    if (kill % 4 === 0) await wait(stream.uniform() * startup)
    else {
      await Promise.race([run.firstShard, run.ended])
      await wait(stream.uniform() * writing * 0.5)
    }
    run.child.kill('SIGKILL')
    const code = await run.ended
    if (run.said().includes('"type":"resume"')) resumed++
    if (code === 0) {
      expect(hashFolder(out, withoutTime)).toEqual(expected)
      rmSync(out, { recursive: true })
    } else expect(code, run.said()).toBe(null)
  }
  const last = start(out)
  expect(await last.ended, last.said()).toBe(0)
  expect(hashFolder(out, withoutTime)).toEqual(expected)
  expect(resumed).toBeGreaterThan(0)
  expect(existsSync(join(out, 'manifest.json'))).toBe(true)
})
