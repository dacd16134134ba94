import { cpSync, existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { DecantError } from '../../src/errors.js'
import { random } from '../../src/random.js'
import { mutate } from './mutate.js'
import { readers } from './readers.js'

// A process that reads files that are damaged in many ways, and says of each which it is before, and what became of it after.

/** What is attacked. */
export interface Target {
  name: string
  reader: keyof typeof readers
  /** Of readers of sources. */
  options?: object
  /** Holds the files, whole. */
  folder: string
  /** What is opened, in that folder; without it the folder itself. */
  open?: string
  /** Those that are damaged, one at a time. */
  files: string[]
}

export type Said =
  | { mutant: number; file: string }
  | { mutant: number; outcome: 'refused' | 'read'; milliseconds: number }
  | { mutant: number; outcome: 'wrong'; step: string; what: string }
  | { peak: number }

const [target, seed, from, to] = JSON.parse(process.argv[2]!) as [Target, number, number, number]
const say = (said: Said) => process.stdout.write(`${JSON.stringify(said)}\n`)
const { name, reader, options = {}, folder, open = '', files } = target
const steps = Object.entries(readers[reader](options))
const mutants = join(dirname(folder), `${basename(folder)}-mutant`)

for (let mutant = from; mutant < to; mutant++) {
  const stream = random(seed, name, mutant)
  const file = files[stream.below(files.length)]!
  const content = mutate(readFileSync(join(folder, file)), stream)
  say({ mutant, file })
  let refused = false
  let milliseconds = 0
  for (const [step, read] of steps) {
    if (reader !== 'source') rmSync(mutants, { recursive: true, force: true }) // a reader of sources changes nothing
    if (!existsSync(mutants)) cpSync(folder, mutants, { recursive: true })
    writeFileSync(join(mutants, file), content)
    const began = process.cpuUsage()
    try {
      await read(join(mutants, open))
    } catch (error) {
      refused = true
      const { message, stack } = error as Error
      if (!(error instanceof DecantError)) say({ mutant, outcome: 'wrong', step, what: stack ?? String(error) })
      else if (!message.includes(basename(open || mutants)) && !message.includes(basename(file)))
        say({ mutant, outcome: 'wrong', step, what: `names no file: ${message}` })
    }
    const { user, system } = process.cpuUsage(began) // not the clock's time, which other processes take as well
    milliseconds = Math.max(milliseconds, (user + system) / 1000)
  }
  cpSync(join(folder, file), join(mutants, file))
  say({ mutant, outcome: refused ? 'refused' : 'read', milliseconds })
}
rmSync(mutants, { recursive: true, force: true })
say({ peak: process.resourceUsage().maxRSS * 1024 })
process.exit(0)
