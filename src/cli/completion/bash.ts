import type { DescribedCommand, Values } from './describe.js'

/**
 * A bash function for `complete -F`. It needs nothing of the bash-completion package; of bash 3 (macOS) it lacks only the slash behind a
 * folder's name. The words before the cursor lead to a command: `path` is its name, with those of its parents.
 */
export function bashScript(program: DescribedCommand): string {
  return `# bash completion of decant
_decant_words() {
  COMPREPLY+=($(compgen -W "$1" -- "$current"))
}
_decant_paths() {
  compopt -o filenames 2>/dev/null
  while IFS= read -r word; do COMPREPLY+=("$word"); done < <(compgen "$1" -- "$current")
}
_decant() {
  local current=\${COMP_WORDS[COMP_CWORD]} previous=\${COMP_WORDS[COMP_CWORD - 1]} path='' word i
  # --option=value is three words to bash
  if [[ $current == = ]]; then
    current=''
  elif [[ $previous == = ]]; then
    previous=\${COMP_WORDS[COMP_CWORD - 2]}
  fi
  for ((i = 1; i < COMP_CWORD; i++)); do
    word=\${COMP_WORDS[i]}
    case "$path $word" in
${each(below(program, ''), (path) => `      '${path}') path='${path}' ;;`)}
    esac
  done
  COMPREPLY=()
  case "$path $previous" in
${commandsOf(program, '').flatMap(optionCases).join('\n')}
  esac
  case $path in
${each(commandsOf(program, ''), ([path, command]) => commandCase(path, command))}
  esac
}
complete -F _decant decant
`
}

const each = <T>(all: T[], line: (one: T) => string): string => all.map(line).join('\n')

/** Every command below this one, by its path: ' export'. */
const below = (command: DescribedCommand, path: string): string[] =>
  commandsOf(command, path)
    .map(([at]) => at)
    .filter((at) => at !== path)

export function commandsOf(command: DescribedCommand, path: string): [path: string, command: DescribedCommand][] {
  return [[path, command], ...command.commands.flatMap((child) => commandsOf(child, `${path} ${child.name}`))]
}

function optionCases([path, { options }]: [string, DescribedCommand]): string[] {
  return options.flatMap(({ names, value }) => {
    if (value === undefined) return []
    const patterns = names.map((name) => `'${path} ${name}'`).join(' | ')
    return [`    ${patterns}) ${reply(value)}; return ;;`]
  })
}

function commandCase(path: string, command: DescribedCommand): string {
  const flags = command.options.flatMap(({ names }) => names)
  const value = command.arguments.at(0)?.value ?? { words: command.commands.map(({ name }) => name), paths: undefined }
  const options = reply({ words: flags, paths: undefined })
  return `    '${path}') if [[ $current == -* ]]; then ${options}; else ${reply(value)}; fi ;;`
}

function reply({ words, paths }: Values): string {
  const parts = [
    ...(words.length > 0 ? [`_decant_words '${words.join(' ')}'`] : []),
    ...(paths ? [`_decant_paths ${paths === 'files' ? '-f' : '-d'}`] : []),
  ]
  return parts.join('; ') || ':'
}
