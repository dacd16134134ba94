import { Command, InvalidArgumentError } from 'commander'
import { DecantError } from '../../errors.js'
import { readInput } from '../../input-file.js'
import { integer, list } from '../parse.js'
import { addDeriveOptions, type DeriveFlags, runDerive } from './derive.js'

interface Flags extends DeriveFlags {
  ids?: string
  label?: number[]
  confidence?: { from: number; to: number }
}

const examples = `
Examples:
  $ decant select targets --ids ids.txt --out some
  $ decant select targets --label 0,3 --confidence 0.5:0.99 --out some

Rows for which all that is given holds. The confidence is the teacher's largest probability at T = 1.`

export function selectCommand(): Command {
  const command = new Command('select')
    .description('keep some rows of a soft-target dataset')
    .argument('<dir>', 'folder or URI of a soft-target dataset')
    .option('--ids <file>', 'ids, one a line')
    .option('--label <n...>', 'labels', list(integer(0)))
    .option('--confidence <from:to>', 'from 0 to 1, both ends included', shares)
  return addDeriveOptions(command)
    .addHelpText('after', examples)
    .action(async (dir: string, { ids: file, label: labels, confidence, ...flags }: Flags) => {
      const { selectTargets } = await import('../../cache/index.js')
      const { datasetFiles } = await import('../../share/open-dataset.js')
      const ids = file === undefined ? undefined : await readIds(file)
      await runDerive(flags, async (options) =>
        selectTargets(await datasetFiles(dir, options), {
          ...options,
          ...(ids && { ids }),
          ...(labels && { labels }),
          ...(confidence && { confidence }),
        }),
      )
    })
}

async function readIds(path: string): Promise<string[]> {
  const bytes = await readInput(path).catch((error: NodeJS.ErrnoException) => {
    if (error instanceof DecantError) throw error
    throw new DecantError(`${path}: cannot read the ids: ${error.code ?? error.message}`)
  })
  return String(bytes)
    .replace(/\r?\n$/, '')
    .split(/\r?\n/)
}

function shares(text: string): { from: number; to: number } {
  const [from, to, ...more] = text.split(':').map((part) => (part.trim() === '' ? Number.NaN : Number(part)))
  if (!(from! >= 0 && from! <= to! && to! <= 1) || more.length > 0)
    throw new InvalidArgumentError(`expected two shares from:to from 0 to 1, found '${text}'.`)
  return { from: from!, to: to! }
}
