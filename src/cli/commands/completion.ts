import { Argument, Command } from 'commander'
import { completionScript, type Shell, shells } from '../completion/index.js'

const examples = `
Examples:
  $ decant completion bash > ~/.local/share/bash-completion/completions/decant
  $ decant completion zsh > ~/.zfunc/_decant    # with fpath+=~/.zfunc before compinit in ~/.zshrc
  $ decant completion fish > ~/.config/fish/completions/decant.fish

The script holds all commands and options of this version; write it again after an update. For the running shell alone:
source <(decant completion bash)`

export function completionCommand(): Command {
  return new Command('completion')
    .description('print the script that lets a shell complete commands, options and files')
    .addArgument(new Argument('<shell>', 'the shell').choices(shells))
    .addHelpText('after', examples)
    .action((shell: Shell, _: unknown, command: Command) => {
      process.stdout.write(completionScript(shell, command.parent!))
    })
}
