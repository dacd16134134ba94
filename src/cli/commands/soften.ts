import { Command, InvalidArgumentError } from 'commander'
import { softTargets } from '../../cache/soften.js'
import { list, temperature } from '../parse.js'
import { openTerminal } from '../terminal.js'

export function softenCommand(): Command {
  return new Command('soften')
    .description('print the soft targets softmax(z/T) of logits')
    .argument('<logits>', 'logits z, separated by commas; negative ones behind --', parseLogits)
    .option('-T, --temperature <T...>', 'temperatures', list(temperature), [] as number[])
    .option('--json', 'one JSON object a temperature')
    .addHelpText('after', '\nExamples:\n  $ decant soften 1,2,3 -T 1 -T 5\n  $ decant soften -T 4 -- -1.5,0,2')
    .action((logits: number[], options: { temperature: number[]; json?: boolean }) => {
      const terminal = openTerminal({ json: options.json === true })
      for (const T of options.temperature.length > 0 ? options.temperature : [1]) {
        const targets = [...softTargets(Float64Array.from(logits), T)]
        terminal.event({ type: 'soft-targets', temperature: T, targets } as { type: string })
        terminal.print(`T=${T}  {${targets.map((p) => p.toFixed(4)).join(', ')}}`)
      }
    })
}

function parseLogits(text: string): number[] {
  return text.split(',').map((part) => {
    const value = Number(part)
    if (part.trim() === '' || !Number.isFinite(value))
      throw new InvalidArgumentError(`a logit is a number, found '${part}'.`)
    return value
  })
}
