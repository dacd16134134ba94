import type { Command } from 'commander'
import { buildProgram } from '../../src/cli/program.js'

/** Whether the program takes this line as it is written in a document; nothing is run. @throws CommanderError that says what it does not take */
export function parses(line: string): true {
  const program = buildProgram()
  ;(function still(command: Command) {
    command.exitOverride().configureOutput({ writeOut: () => {}, writeErr: () => {} })
    if (command.commands.length === 0) command.action(() => {})
    command.commands.forEach(still)
  })(program)
  try {
    program.parse(words(line).slice(1), { from: 'user' })
  } catch (error) {
    if ((error as { code?: string }).code === 'commander.helpDisplayed') return true
    throw error
  }
  return true
}

/** A command line's words as a shell makes them, up to a pipe, a redirection, an `&&`, a comment, or a remark in parentheses behind spaces. */
export function words(line: string): string[] {
  const command = line.split(/ (?:[|>]|&&|#) ?| {2,}\(/)[0]!
  return [...command.matchAll(/(?:"[^"]*"|'[^']*'|[^\s"'])+/g)].map(([word]) => word.replace(/["']/g, ''))
}
