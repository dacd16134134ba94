import { execFileSync, spawnSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { completionScript } from '../../../src/cli/completion/index.js'
import { buildProgram } from '../../../src/cli/program.js'
import { temporaryFolder } from '../../helpers/folder.js'

const hasBash = spawnSync('bash', ['--version']).status === 0
if (!hasBash) console.warn('SKIPPED: completion in bash, since there is no bash')

const program = buildProgram()
const script = completionScript('bash', program)

/** What bash offers for each line, with the cursor at its end; words as bash has split them, `=` a word of its own. */
function complete(lines: string[], cwd = '.'): string[][] {
  const asks = lines.map((line) => {
    const words = line.split(/ |(?<==)|(?==)/).map((word) => `'${word}'`)
    return `COMP_WORDS=(${words.join(' ')}); COMP_CWORD=${words.length - 1}; _decant; printf '%s\\0' "\${COMPREPLY[@]}" END`
  })
  const bash = [script, 'complete -p decant >/dev/null || exit 1', ...asks].join('\n')
  const out = execFileSync('bash', ['--norc', '-u', '-c', bash], { cwd, encoding: 'utf8' })
  const answers = out.split('END\0').slice(0, -1)
  return answers.map((answer) => answer.split('\0').filter(Boolean))
}

describe.skipIf(!hasBash)('bash completes', () => {
  it('commands', () => {
    const [all, some] = complete(['decant ', 'decant ex'])
    expect(all).toEqual(program.commands.map((command) => command.name()))
    expect(some).toEqual(['export'])
  })

  it('every option of every command', () => {
    const lines = program.commands.map((command) => `decant ${command.name()} --`)
    complete(lines).forEach((offered, i) => {
      const own = program.commands[i]!.options.map((option) => option.long)
      expect(offered).toEqual([...own, '--help'])
    })
  })

  it('the values that an option may have, in both its forms', () => {
    expect(complete(['decant train t --engine ', 'decant train t --engine=', 'decant train t --engine=e'])).toEqual([
      ['onnx', 'eager', 'tensorflow'],
      ['onnx', 'eager', 'tensorflow'],
      ['eager'],
    ])
    const [codecs, methods, shells, temperature] = complete([
      'decant export x --codec ',
      'decant sweep targets --method d',
      'decant completion ',
      'decant train targets -T ',
    ])
    expect(codecs).toEqual(['auto', 'f32', 'f16', 'q8', 'hybrid:600', 'topk:16', 'sampled:16'])
    expect(methods).toEqual(expect.arrayContaining(['dkd', 'dist']))
    expect(shells).toEqual(['bash', 'zsh', 'fish'])
    expect(temperature).toEqual([])
  })

  it('files and folders, spaces in their names and all', () => {
    const dir = temporaryFolder()
    mkdirSync(join(dir, 'my targets'))
    writeFileSync(join(dir, 'my teacher.onnx'), '')
    const [files, folders, argument, student] = complete(
      ['decant export x --teacher my', 'decant export x --out my', 'decant inspect m', 'decant train t --student m'],
      dir,
    )
    expect(files!.sort()).toEqual(['my targets', 'my teacher.onnx'])
    expect(folders).toEqual(['my targets'])
    expect(argument).toEqual(['my targets'])
    expect(student!.sort()).toEqual(['mlp:128', 'mobilenet:16', 'my targets', 'my teacher.onnx'])
  })
})
