import { execFileSync, spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { completionScript, type Shell } from '../../../src/cli/completion/index.js'
import { buildProgram } from '../../../src/cli/program.js'
import { temporaryFolder } from '../../helpers/folder.js'

/** A folder with the shell's script, a teacher and a dataset; undefined where the shell is not installed. */
function folderFor(shell: Shell): string {
  const dir = temporaryFolder()
  writeFileSync(join(dir, `decant.${shell}`), completionScript(shell, buildProgram()))
  writeFileSync(join(dir, 'a-teacher.onnx'), '')
  return dir
}

function has(shell: Shell): boolean {
  const found = spawnSync(shell, ['--version']).status === 0
  if (!found) console.warn(`SKIPPED: completion in ${shell}, which is not installed`)
  return found
}

describe.skipIf(!has('fish'))('fish completes', () => {
  const offered = (line: string) =>
    execFileSync('fish', ['--no-config', '-c', `source decant.fish; complete -C '${line}'`], {
      cwd: folderFor('fish'),
      encoding: 'utf8',
    })
      .trimEnd()
      .split('\n')
      .map((one) => one.split('\t')[0])

  it.each([
    ['decant ex', ['export']],
    ['decant train targets --engine ', ['eager', 'onnx', 'tensorflow']],
    ['decant export --teacher a-', ['a-teacher.onnx']],
    ['decant export --prov', ['--provider']],
    ['decant sweep targets -T ', ['']],
  ])('%s', (line, expected) => {
    expect(offered(line)).toEqual(expected)
  })
})

describe.skipIf(!has('zsh'))('zsh completes', () => {
  /** What an interactive zsh shows after a Tab behind `line`, up to where `expected` has come; nothing comes of another answer. */
  const session = (line: string, expected: string) => `
    zmodload zsh/zpty
    zpty -b z zsh -f -i
    zpty -w z 'autoload -U compinit; compinit -u -D; source ./decant.zsh; setopt no_beep auto_list; bindkey "^I" complete-word; PS1=; print R""EADY'
    zpty -r z out '*READY*'
    zpty -w -n z ${JSON.stringify(line)}$'\\t\\t'
    zpty -r z out '*${expected}*'
    print -rn -- $out`

  it.each([
    ['decant exp', 'export'],
    ['decant train targets --engine ', 'eager*onnx*tensorflow'],
    ['decant export --teacher a-', 'a-teacher.onnx'],
    ['decant export --prov', '--provider'],
  ])('%s', (line, expected) => {
    const out = execFileSync('zsh', ['-f', '-c', session(line, expected)], {
      cwd: folderFor('zsh'),
      encoding: 'utf8',
      timeout: 20_000,
    })
    expect(out).not.toMatch(/command not found|parse error/)
  })
})
