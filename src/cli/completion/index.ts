import type { Command } from 'commander'
import { bashScript } from './bash.js'
import { describe } from './describe.js'
import { fishScript } from './fish.js'
import { zshScript } from './zsh.js'

/**
 * Scripts made once from the program, which the shell then asks alone. The libraries that were looked at start Node at every Tab
 * (omelette, @bomb.sh/tab, tabtab: 0.2 s of a processor here), and take hand-written handlers for the values of options.
 */
const scripts = { bash: bashScript, zsh: zshScript, fish: fishScript }
export type Shell = keyof typeof scripts
export const shells = Object.keys(scripts) as Shell[]

export const completionScript = (shell: Shell, program: Command): string => scripts[shell](describe(program))
