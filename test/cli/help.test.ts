import { describe, expect, it } from 'vitest'
import { buildProgram } from '../../src/cli/program.js'
import { parses } from './command-lines.js'

/** All commands with their paths: 'export', and where commands have commands, 'one two'. */
const commands = (function walk(command = buildProgram(), path = ''): [string, string][] {
  return command.commands.flatMap((child) => {
    const at = `${path} ${child.name()}`.trim()
    let help = ''
    child.configureOutput({ writeOut: (text) => (help += text) })
    child.outputHelp()
    return [[at, help] as [string, string], ...walk(child, at)]
  })
})()

describe.each(commands)('decant %s --help', (name, help) => {
  const examples = /\nExamples:\n((?: {2}.*\n)+)/.exec(help)?.[1] ?? ''
  const lines = [...examples.matchAll(/^ {2}\$ (decant .*)$/gm)].map((match) => match[1]!)

  it('has examples of the command, and every one parses', () => {
    expect(lines.some((line) => line.startsWith(`decant ${name}`))).toBe(true)
    for (const line of lines) expect(parses(line)).toBe(true)
  })

  it('says of every option and argument what it is', () => {
    const command = name
      .split(' ')
      .reduce((at, part) => at.commands.find((one) => one.name() === part)!, buildProgram())
    for (const option of command.options) expect(option.description, option.flags).not.toBe('')
    for (const argument of command.registeredArguments) expect(argument.description, argument.name()).not.toBe('')
  })
})

it('an example that is wrong would be found', () => {
  expect(() => parses('decant train targets --bogus')).toThrow(/unknown option/)
  expect(() => parses('decant export photos/')).toThrow(/required option/)
  expect(() => parses('decant train targets -T cold')).toThrow(/temperature/)
  expect(() => parses('decant inspect a b c')).toThrow(/too many arguments/)
})
