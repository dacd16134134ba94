import { commandsOf } from './bash.js'
import type { DescribedCommand, DescribedOption, Values } from './describe.js'

/** A zsh completion function, for a folder of $fpath (as _decant) or to be sourced. */
export function zshScript(program: DescribedCommand): string {
  const functionOf = (path: string) => `_${program.name}${path.replaceAll(' ', '_')}`
  const functions = commandsOf(program, '').map(
    ([path, command]) => `${functionOf(path)}() {\n${body(command, functionOf(path))}\n}`,
  )
  return `#compdef ${program.name}
${functions.join('\n\n')}

if [[ $funcstack[1] == _${program.name} ]]; then _${program.name} "$@"; else compdef _${program.name} ${program.name}; fi
`
}

function body(command: DescribedCommand, name: string): string {
  const specs = command.options.map(optionSpec)
  if (command.commands.length === 0)
    return [`  _arguments -s -S \\`, ...join([...specs, ...argumentSpecs(command)])].join('\n')
  const list = command.commands.map(({ name, about }) => `    ${quote(`${plain(name)}:${about}`)}`)
  return [
    '  local -a commands=(',
    ...list,
    '  )',
    '  local state line',
    '  _arguments -C -S \\',
    ...join([...specs, "'1: :->command'", "'*:: :->rest'"]),
    '  case $state in',
    '    command) _describe command commands ;;',
    // in rest, words[1] is the command
    `    rest) (( $+functions[${name}_$words[1]] )) && ${name}_$words[1] ;;`,
    '  esac',
  ].join('\n')
}

const join = (specs: string[]): string[] => specs.map((spec, i) => `    ${spec}${i < specs.length - 1 ? ' \\' : ''}`)

function optionSpec({ names, about, value, placeholder }: DescribedOption): string {
  const text = quote(
    `[${about.replace(/[\\[\]:]/g, '\\$&')}]${value === undefined ? '' : `:${plain(placeholder)}:${action(value)}`}`,
  )
  const typed = names.map((name) => (value === undefined ? name : `${name}${name.startsWith('--') ? '=' : '+'}`))
  const form = typed.length > 1 ? `{${typed.join(',')}}` : typed[0]!
  if (value !== undefined) return `'*'${form}${text}` // may be given again
  return typed.length > 1 ? `'(${names.join(' ')})'${form}${text}` : `${form}${text}`
}

function argumentSpecs(command: DescribedCommand): string[] {
  return command.arguments.map(({ name, value }, i) => {
    const rest = command.variadic && i === command.arguments.length - 1
    return quote(`${rest ? '*' : i + 1}:${plain(name)}:${action(value)}`)
  })
}

function action({ words, paths }: Values): string {
  const files = paths === 'folders' ? '_files -/' : '_files'
  if (words.length === 0) return paths ? files : ' '
  const list = `(${words.map(plain).join(' ')})`
  return paths ? `{ _alternative "words:word:${list}" "files:file:${files}" }` : list
}

/** A colon ends a field. */
const plain = (text: string) => text.replace(/[\\:]/g, '\\$&')
const quote = (text: string) => `'${text.replaceAll("'", "'\\''")}'`
