import { Command } from 'commander'
import { version } from '../version.js'
import { chainCommand } from './commands/chain.js'
import { completionCommand } from './commands/completion.js'
import { convertCommand } from './commands/convert.js'
import { doctorCommand } from './commands/doctor.js'
import { ensembleCommand } from './commands/ensemble.js'
import { exportCommand } from './commands/export.js'
import { inspectCommand } from './commands/inspect.js'
import { licenseCommand } from './commands/license.js'
import { lineageCommand } from './commands/lineage.js'
import { mergeCommand } from './commands/merge.js'
import { pullCommand } from './commands/pull.js'
import { pushCommand } from './commands/push.js'
import { reportCommand } from './commands/report.js'
import { selectCommand } from './commands/select.js'
import { signCommand } from './commands/sign.js'
import { softenCommand } from './commands/soften.js'
import { sweepCommand } from './commands/sweep.js'
import { trainCommand } from './commands/train.js'
import { verifyCommand } from './commands/verify.js'
import { viewCommand } from './commands/view.js'

/** The command line. Unknown commands and options are refused with exit code 2. */
export function buildProgram(): Command {
  const program = new Command('decant')
    .description(
      'Offline knowledge distillation: run the teacher once, train any number of students from its cached logits.',
    )
    .version(version)
    .exitOverride()
    .showHelpAfterError('(add --help for the options and examples)')
  const commands = [
    exportCommand(),
    inspectCommand(),
    verifyCommand(),
    licenseCommand(),
    signCommand(),
    lineageCommand(),
    mergeCommand(),
    convertCommand(),
    selectCommand(),
    ensembleCommand(),
    softenCommand(),
    trainCommand(),
    sweepCommand(),
    chainCommand(),
    reportCommand(),
    pushCommand(),
    pullCommand(),
    doctorCommand(),
    viewCommand(),
    completionCommand(),
  ]
  for (const command of commands) {
    command.exitOverride().showHelpAfterError('(add --help for the options and examples)')
    program.addCommand(command)
  }
  return program
}
