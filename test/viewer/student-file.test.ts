import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { FormatError } from '../../src/errors.js'
import { openSubject } from '../../src/viewer/subject.js'
import { temporaryFolder } from '../student/fixtures.js'
import { storedPictures, writeDataset, writeStudent } from './fixtures.js'

test("a student.onnx that is damaged is the file's error and names it", async () => {
  const dir = await temporaryFolder()
  await writeDataset(join(dir, 'targets'), { rows: 24, inputs: storedPictures })
  const student = await temporaryFolder()
  await writeStudent(student)
  const path = join(student, 'student.onnx')
  const whole = readFileSync(path)
  const damages = [
    () => writeFileSync(path, whole.subarray(0, whole.length / 2)),
    () => writeFileSync(path, 'version https://git-lfs.github.com/spec/v1'),
    () => writeFileSync(path, Buffer.from(whole).fill(255, 40, 80)),
  ]
  for (const damage of damages) {
    damage()
    const opening = openSubject({ place: join(dir, 'targets'), student }, new AbortController().signal)
    const error = await opening.catch((error: unknown) => error)
    expect(error).toBeInstanceOf(FormatError)
    expect((error as Error).message).toContain(`${path}: damaged, or no student that decant saved: `)
    expect((error as Error).message).not.toContain('\n')
  }
})
