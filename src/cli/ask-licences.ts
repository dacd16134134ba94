import { createInterface } from 'node:readline/promises'
import type { Licences } from '../cache/index.js'
import { InterruptedError } from '../errors.js'

interface Streams {
  input: NodeJS.ReadStream
  output: NodeJS.WriteStream
}

/**
 * Asks for the licences that were not given. An empty answer leaves one open; so does a terminal that is closed, or none.
 * @returns those that were answered
 */
export async function askLicences(
  given: Licences,
  { input, output }: Streams = { input: process.stdin, output: process.stderr },
): Promise<Licences> {
  const open = QUESTIONS.filter(({ key }) => given[key] === undefined)
  if (!input.isTTY || !output.isTTY || open.length === 0) return {}
  const lines = createInterface({ input, output })
  const ended = new Promise<undefined>((resolve, reject) => {
    lines.once('SIGINT', () => reject(new InterruptedError('stopped')))
    lines.once('close', () => resolve(undefined))
  })
  const answers: Licences = {}
  try {
    for (const { key, question } of open) {
      const answer = await Promise.race([lines.question(question), ended])
      if (answer === undefined) break
      if (answer.trim()) answers[key] = answer.trim()
    }
  } finally {
    lines.close()
  }
  return answers
}

const QUESTIONS = [
  { key: 'license', question: 'Licence of the data (SPDX, as cc-by-4.0; empty: not stated): ' },
  { key: 'teacherLicense', question: 'Licence of the teacher (as apache-2.0; empty: not stated): ' },
] as const
