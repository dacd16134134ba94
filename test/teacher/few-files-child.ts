import { closeSync, openSync } from 'node:fs'
import { Command } from 'commander'
import { buildProgram } from '../../src/cli/program.js'

// The command line where hardly any file can be opened: bash -c 'ulimit -n 256; node --import tsx few-files-child.ts MOMENT FREE WARM OUT COMMAND…'.
// COMMAND is run into WARM first, which loads what is loaded when it is first used. Then decant is run into OUT; at MOMENT, its start or the event
// of that type, all files but FREE are taken.
const [moment, free, warm, out, ...command] = process.argv.slice(2) as [string, string, string, string, ...string[]]

await buildProgram().parseAsync([...command, '--out', warm], { from: 'user' })

function take(): void {
  const held: number[] = []
  try {
    for (;;) held.push(openSync('/dev/null', 'r'))
  } catch {}
  for (const file of held.splice(0, Number(free))) closeSync(file)
}

const parse = Command.prototype.parseAsync
Command.prototype.parseAsync = function () {
  if (moment === 'start') take()
  return parse.call(this, [...command, '--out', out], { from: 'user' })
}
let taken = false
const write = process.stdout.write
process.stdout.write = ((text: string) => {
  if (!taken && text.includes(`"type":"${moment}"`)) take()
  taken ||= text.includes(`"type":"${moment}"`)
  return write.call(process.stdout, text)
}) as typeof write
await import('../../src/cli/main.js')
