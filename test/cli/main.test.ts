import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { expect, it } from 'vitest'

const decant = (...args: string[]) =>
  spawnSync(process.execPath, ['--import', 'tsx', 'src/cli/main.ts', ...args], { encoding: 'utf8' })

it.each([
  ['a wrong option', ['train', 'targets', '--bogus'], /^unknown option '--bogus'$/],
  ['a folder that is not there', ['inspect', '/nowhere'], /^\/nowhere: /],
  ['a name of control characters', ['inspect', '/no\u001b[2J\u009b\nwhere'], /^\/no\p{Cc}\[2J/u],
  ['a place that the system refuses', ['sweep', 'targets', '--csv', '/nowhere/x.csv'], /ENOENT/],
])('%s is exit code 2, and with --json an event like any other', (_, args, message) => {
  const { status, stdout, stderr } = decant(...args, '--json')
  expect(status).toBe(2)
  expect(JSON.parse(stdout)).toEqual({ type: 'error', message: expect.stringMatching(message), exitCode: 2 })
  expect(stderr).not.toMatch(/ {4}at /)
  expect(stderr.replaceAll('\n', '') + stdout.trimEnd()).not.toMatch(/\p{Cc}/u)
  expect(stderr).not.toMatch(/\nwhere/)
})

it('help is no failure', () => {
  const { status, stdout } = decant('export', '--help')
  expect(status).toBe(0)
  expect(stdout).toMatch(/--teacher <file>/)
})

it('ends without a word where nobody reads on', async () => {
  const child = spawn(process.execPath, ['--import', 'tsx', 'src/cli/main.ts', 'completion', 'zsh'])
  child.stdout.destroy()
  let said = ''
  child.stderr.on('data', (text) => {
    said += text
  })
  const [status, signal] = await once(child, 'close')
  expect([said, status, signal]).toEqual(['', null, 'SIGTERM'])
})
