import type { DescribedCommand, DescribedOption, Values } from './describe.js'

/** fish completions: one line each. Commands of commands are not there yet; fish would need a function for their paths. */
export function fishScript(program: DescribedCommand): string {
  const { name } = program
  const line = (...parts: string[]) => ['complete', '-c', name, ...parts.filter(Boolean)].join(' ')
  const atTop = '-n __fish_use_subcommand'
  return [
    `# fish completion of ${name}`,
    line('-f'),
    ...program.options.map((option) => line(atTop, ...optionParts(option))),
    ...program.commands.map((command) => line(atTop, '-a', command.name, '-d', quote(command.about))),
    ...program.commands.flatMap((command) => {
      const inCommand = `-n '__fish_seen_subcommand_from ${command.name}'`
      return [
        ...[...new Set(command.arguments.flatMap(({ value }) => valueParts(value)))].map((part) =>
          line(inCommand, part),
        ),
        ...command.options.map((option) => line(inCommand, ...optionParts(option))),
      ]
    }),
    '',
  ].join('\n')
}

function optionParts({ names, about, value }: DescribedOption): string[] {
  const flags = names.map((name) => (name.startsWith('--') ? `-l ${name.slice(2)}` : `-s ${name.slice(1)}`))
  const taken = value === undefined ? [] : [value.paths === 'files' ? '-r' : '-x', ...valueParts(value)]
  return [...flags, ...taken, '-d', quote(about)]
}

function valueParts({ words, paths }: Values): string[] {
  return [
    paths === 'files' ? '-F' : '',
    paths === 'folders' ? "-a '(__fish_complete_directories)'" : '',
    words.length > 0 ? `-a ${quote(words.join(' '))}` : '',
  ].filter(Boolean)
}

const quote = (text: string) => `'${text.replace(/[\\']/g, '\\$&')}'`
