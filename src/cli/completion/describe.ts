import type { Argument, Command, Option } from 'commander'
import { suggestionsOf } from '../parse.js'

/** What may stand for a value, as far as a shell can know. */
export interface Values {
  words: readonly string[]
  paths: 'files' | 'folders' | undefined
}

export interface DescribedOption {
  /** As typed: `-T`, `--temperature`. */
  names: string[]
  about: string
  /** Undefined where the option takes no value. */
  value: Values | undefined
  /** The value's name in the help. */
  placeholder: string
}

/** A command as the shells' scripts need it. */
export interface DescribedCommand {
  name: string
  about: string
  options: DescribedOption[]
  /** Of the positional arguments in order; the last one goes on where `variadic`. */
  arguments: { name: string; value: Values }[]
  variadic: boolean
  commands: DescribedCommand[]
}

/** By the placeholder's name, as `--out <dir>` or `<source...>`. */
const paths: Record<string, 'files' | 'folders'> = {
  dir: 'folders',
  dirs: 'folders',
  file: 'files',
  form: 'files', // a module
  path: 'files',
  place: 'files',
  source: 'files',
  uri: 'files',
}

/** The program as it is: nothing is listed a second time. */
export function describe(command: Command): DescribedCommand {
  const help = command.createHelp()
  const last = command.registeredArguments.at(-1)
  return {
    name: command.name(),
    about: command.description(),
    options: help.visibleOptions(command).map(describeOption),
    arguments: command.registeredArguments.map((argument) => ({
      name: argument.name(),
      value: valuesOf(argument, argument.name()),
    })),
    variadic: last?.variadic ?? false,
    commands: command.commands.map(describe),
  }
}

function describeOption(option: Option): DescribedOption {
  const [, placeholder = ''] = /[<[]([^>\].]+)/.exec(option.flags) ?? []
  return {
    names: [option.short, option.long].filter((name) => name !== undefined),
    about: option.description,
    value: placeholder === '' ? undefined : valuesOf(option, placeholder),
    placeholder,
  }
}

function valuesOf({ argChoices, parseArg }: Option | Argument, placeholder: string): Values {
  return { words: argChoices ?? suggestionsOf(parseArg) ?? [], paths: paths[placeholder] }
}
