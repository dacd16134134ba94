import { Command } from 'commander'
import { DecantError } from '../../errors.js'
import { openTerminal } from '../terminal.js'

interface Flags {
  license?: string
  teacherLicense?: string
  json?: boolean
}

export function licenseCommand(): Command {
  return new Command('license')
    .description('state the licences of a soft-target dataset, in its manifest and on its card; push asks for both')
    .argument('<dir>', 'folder of a soft-target dataset')
    .option('--license <id>', 'of the data: an SPDX identifier such as cc-by-4.0, or a name')
    .option('--teacher-license <id>', 'of the teacher')
    .option('--json', 'the event as a JSON line on stdout')
    .addHelpText(
      'after',
      `
Examples:
  $ decant license targets --license cc-by-4.0 --teacher-license apache-2.0

The shards stay as they are. The manifest changes, and so its SHA-256: state licences before others pin it; a signature is removed.`,
    )
    .action(async (dir: string, { license, teacherLicense, json }: Flags) => {
      const { licenseTargets } = await import('../../cache/index.js')
      const terminal = openTerminal({ json: json === true })
      if (!license && !teacherLicense)
        throw new DecantError('license: give --license, --teacher-license, or both: what is to be stated')
      const manifest = await licenseTargets(dir, {
        ...(license && { license }),
        ...(teacherLicense && { teacherLicense }),
      })
      const event = { license: manifest.license, teacherLicense: manifest.teacherLicense ?? null }
      terminal.event({ type: 'licensed', ...event } as { type: string })
      terminal.print(
        `${dir}: licence ${manifest.license ?? 'not stated'}; of the teacher ${manifest.teacherLicense ?? 'not stated'}`,
      )
    })
}
