import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { DecantError, FormatError } from '../../src/errors.js'
import { parseSweep, readSweep } from '../../src/report/read-sweep.js'
import { sweepPage } from '../../src/report/sweep-page.js'
import { temporaryFolder } from '../helpers/folder.js'
import { makeSweep } from './sweep-fixture.js'

const text = (changes: object = {}) =>
  JSON.stringify({ format: 'decant-sweep', version: 2, ...makeSweep(), ...changes })

describe('readSweep', () => {
  it('gives the page that was written first', async () => {
    const dir = temporaryFolder()
    await writeFile(join(dir, 'sweep.json'), text())
    expect(sweepPage(await readSweep(dir))).toBe(sweepPage(makeSweep()))
  })

  it('says what is missing or wrong, and where', async () => {
    await expect(readSweep('/nowhere')).rejects.toThrow(
      '/nowhere/sweep.json: no such file: expected the folder of a sweep',
    )
    await expect(readSweep('/nowhere')).rejects.toBeInstanceOf(DecantError)
    const wrong = (json: string) => () => parseSweep(json, 'sweep.json')
    expect(wrong('{')).toThrow(/^sweep.json: not JSON: /)
    expect(wrong(text({ version: 1 }))).toThrow(/^sweep.json: version: /)
    expect(wrong(text({ students: [{ student: 1 }] }))).toThrow(/^sweep.json: students.0.student: /)
    const { data } = makeSweep()
    const ragged = { ...data, similarity: { ...data.similarity!, means: [[0.1]] } }
    expect(wrong(text({ data: ragged }))).toThrow(/similarity: a row and a column for each class/)
    expect(wrong(text({ seconds: -1 }))).toThrow(FormatError)
  })
})
