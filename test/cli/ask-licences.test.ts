import { PassThrough } from 'node:stream'
import { expect, test } from 'vitest'
import { askLicences } from '../../src/cli/ask-licences.js'

/** A terminal that answers each question with the next line. */
function terminal(...answers: (string | null)[]) {
  const input = Object.assign(new PassThrough(), { isTTY: true })
  const asked: string[] = []
  const output = Object.assign(new PassThrough(), { isTTY: true })
  output.on('data', (data: Buffer) => {
    if (!/: $/.test(data.toString())) return
    asked.push(data.toString().split(' (')[0]!)
    const answer = answers.shift()
    if (answer == null) input.end()
    else input.write(`${answer}\n`)
  })
  return { asked, streams: { input, output } as never }
}

test('asks for what was not given', async () => {
  const both = terminal('mit', ' apache-2.0 ')
  expect(await askLicences({}, both.streams)).toEqual({ license: 'mit', teacherLicense: 'apache-2.0' })
  expect(both.asked).toEqual(['Licence of the data', 'Licence of the teacher'])
  const one = terminal('apache-2.0')
  expect(await askLicences({ license: 'mit' }, one.streams)).toEqual({ teacherLicense: 'apache-2.0' })
  expect(one.asked).toEqual(['Licence of the teacher'])
})

test('an empty answer, and a closed input, leave it open', async () => {
  expect(await askLicences({}, terminal('', 'mit').streams)).toEqual({ teacherLicense: 'mit' })
  expect(await askLicences({}, terminal('mit', null).streams)).toEqual({ license: 'mit' })
})

test('asks nobody where there is no terminal, and nothing that is known', async () => {
  const { asked, streams } = terminal()
  expect(await askLicences({}, { ...(streams as object), output: { isTTY: false } } as never)).toEqual({})
  expect(await askLicences({ license: 'mit', teacherLicense: 'mit' }, streams)).toEqual({})
  expect(asked).toEqual([])
})
