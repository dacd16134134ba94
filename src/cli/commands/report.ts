import { Command } from 'commander'
import { openTerminal } from '../terminal.js'

export function reportCommand(): Command {
  return new Command('report')
    .description('write report.html of a sweep again, from its sweep.json')
    .argument('<dir>', 'folder of a sweep')
    .option('--json', 'one event as JSON on stdout')
    .addHelpText('after', '\nExamples:\n  $ decant report runs/sweep')
    .action(async (dir: string, flags: { json?: boolean }) => {
      const { readSweep } = await import('../../report/read-sweep.js')
      const { writeReport } = await import('../../report/write-report.js')
      const terminal = openTerminal({ json: flags.json === true })
      const path = await writeReport(dir, await readSweep(dir))
      terminal.event({ type: 'report', path } as { type: string })
      terminal.print(`wrote ${path}`)
    })
}
