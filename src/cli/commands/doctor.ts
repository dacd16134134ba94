import { existsSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname } from 'node:path'
import { Command } from 'commander'
import type { Finding, thisSystem } from '../../doctor/index.js'
import { cacheFolder } from '../../share/block-cache.js'
import { version } from '../../version.js'
import { interruptible } from '../interrupt.js'
import { integer } from '../parse.js'
import { openTerminal } from '../terminal.js'

const examples = `
Examples:
  $ decant doctor
  $ decant doctor --json | jq 'select(.status == "missing") | .fix'
  $ decant doctor --limit 300     (a provider that prepares its kernels for minutes, such as tensorrt)

Each provider runs a real product of two matrices, in a process of its own that is killed after --limit seconds. Exit code 0: everything that
decant needs works; 1: something of that is broken. What is missing and not needed (a GPU, tfjs-node) changes nothing.`

/** @param systemOf gives the machine that is looked at: this one, if not given */
export function doctorCommand(systemOf?: typeof thisSystem): Command {
  return new Command('doctor')
    .description('say what works on this machine, how fast, and what to do about the rest')
    .option('--limit <seconds>', 'how long one try may take', integer(1, 3600), 60)
    .option('--json', 'findings as JSON lines on stdout')
    .addHelpText('after', examples)
    .action((flags: Flags) => run(flags, systemOf))
}

interface Flags {
  limit: number
  json?: boolean
}

async function run(flags: Flags, systemOf?: typeof thisSystem): Promise<void> {
  const { examine, isSound, thisSystem } = await import('../../doctor/index.js')
  const look = systemOf ?? thisSystem
  const terminal = openTerminal({ json: flags.json === true })
  terminal.print(`decant ${version}, ${process.platform} ${process.arch}`)
  const findings: Finding[] = []
  await interruptible(
    async (signal) => {
      for await (const finding of examine(look({ limit: flags.limit, signal }), {
        here: process.cwd(),
        temporary: tmpdir(),
        cache: folderAbove(cacheFolder()),
      })) {
        findings.push(finding)
        terminal.event({ type: 'finding', ...finding } as { type: string })
        terminal.print(render(finding))
      }
    },
    () => {},
  )
  const sound = isSound(findings)
  terminal.event({ type: 'doctor', sound, version } as { type: string })
  terminal.print(sound ? 'Everything that decant needs works.' : 'decant does not work here: see what is broken above.')
  if (!sound) process.exitCode = 1
}

/** The folder itself, or the one in which it would be made. */
const folderAbove = (path: string): string => (existsSync(path) ? path : folderAbove(dirname(path)))

function render({ name, status, required, found, fix }: Finding): string {
  const mark = status !== 'ok' && required ? status.toUpperCase() : status
  return [`${mark.padEnd(8)} ${name.padEnd(18)} ${found}`, ...fix.map((line) => `${' '.repeat(28)}${line}`)].join('\n')
}
