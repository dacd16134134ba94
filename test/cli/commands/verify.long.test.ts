import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, expect, it } from 'vitest'
import { temporaryFolder } from '../../helpers/folder.js'
import { writeIdx } from '../../helpers/idx.js'
import { writeLinearTeacher } from '../../helpers/teachers.js'
import { eventsOf, runCommand } from '../output.js'

afterEach(() => {
  process.exitCode = undefined
})

async function exported(codec = 'f16') {
  const dir = temporaryFolder()
  const { images } = writeIdx(dir, { rows: 300, side: 4, classes: 10 })
  const teacher = join(dir, 'teacher.onnx')
  writeLinearTeacher(teacher, { side: 4, classes: 10 })
  const out = join(dir, 'targets')
  const dense = codec.length === 3 ? codec : 'f32'
  await runCommand('export', images, '--teacher', teacher, '--out', out, '--batch', '32', '--codec', dense)
  if (codec === dense) return { dir, images, teacher, out }
  const converted = join(dir, 'converted')
  await runCommand('convert', out, '--codec', codec, '--out', converted)
  return { dir, images, teacher, out: converted }
}

it('says that a dataset is sound, and exits with 0', async () => {
  const { out } = await exported()
  expect((await runCommand('verify', out)).out).toMatch(/targets: sound: 300 rows, .* in 1 shard\n$/)
  expect(process.exitCode).toBeUndefined()
})

it('says what is wrong, a line each, and exits with 1', async () => {
  const { out } = await exported()
  const shard = join(out, 'data/00000.arrow')
  const bytes = readFileSync(shard)
  bytes[1000]! ^= 1
  writeFileSync(shard, bytes)
  expect((await runCommand('verify', out)).out).toMatch(/00000\.arrow: damaged or altered.*\n.*targets: not sound: /)
  expect(process.exitCode).toBe(1)
  const last = eventsOf((await runCommand('verify', out, '--json')).out).at(-1)
  expect(last).toMatchObject({ type: 'verified', rows: 300, problems: [expect.stringMatching('00000.arrow')] })
})

it.each(['f32', 'f16', 'q8', 'topk:3'])('runs the teacher again on random rows of %s: the same', async (codec) => {
  const { out, teacher, images } = await exported(codec)
  const { out: text } = await runCommand('verify', out, '--teacher', teacher, '--source', images, '--json')
  const rerun = eventsOf(text).find(({ type }) => type === 'rerun')!
  expect(rerun).toMatchObject({ rows: 256, seed: 0, sameTeacher: true, agreement: 1, within: true })
  if (codec === 'f32') expect(rerun.maxDifference).toBeLessThan(1e-5)
  else expect(rerun.maxDifference).toBeGreaterThan(0) // rows are compared with what the codec rounded
  expect(process.exitCode).toBeUndefined()
})

it('another teacher is not the same, and exits with 1', async () => {
  const { dir, out } = await exported()
  const other = join(dir, 'other.onnx')
  writeLinearTeacher(other, { side: 4, classes: 10, seed: 1 })
  const { out: text } = await runCommand('verify', out, '--teacher', other, '--rows', '50')
  expect(text).toMatch(/run again on 50 rows \(seed 0, cpu\): NOT THE SAME/)
  expect(text).toMatch(/the file is not the manifest's/)
  expect(process.exitCode).toBe(1)
})

it('another source is refused', async () => {
  const { out, teacher } = await exported()
  const { images } = writeIdx(temporaryFolder(), { rows: 300, side: 4, classes: 10, seed: 9 })
  await expect(runCommand('verify', out, '--teacher', teacher, '--source', images)).rejects.toThrow(
    /is not the source that .* was exported from/,
  )
})

it('--source without --teacher is refused', async () => {
  await expect(runCommand('verify', 'targets', '--source', 'x')).rejects.toThrow('--source goes with --teacher')
})
