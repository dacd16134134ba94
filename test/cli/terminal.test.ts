import { expect, it, onTestFinished, vi } from 'vitest'
import { openTerminal } from '../../src/cli/terminal.js'
import { captureOutput } from './output.js'

function capture() {
  const { said, restore } = captureOutput()
  onTestFinished(restore)
  return said
}

/** Stderr is a file, and time passes when the test says so. */
function noTerminal() {
  vi.useFakeTimers()
  const tty = process.stderr.isTTY
  process.stderr.isTTY = false
  onTestFinished(() => {
    process.stderr.isTTY = tty
    vi.useRealTimers()
  })
  return capture()
}

it('writes results to stdout and remarks to stderr, and events to neither', () => {
  const said = capture()
  const terminal = openTerminal({ json: false })
  terminal.print('result')
  terminal.note('remark')
  terminal.event({ type: 'event' })
  expect(said).toEqual({ out: 'result\n', err: 'remark\n' })
})

it('with --json writes events to stdout, one a line, and nothing else', () => {
  const said = capture()
  const terminal = openTerminal({ json: true })
  terminal.print('result')
  terminal.note('remark')
  terminal.progress('export', 1, 2, { unit: 'rows' })
  terminal.event({ type: 'a' })
  terminal.event({ type: 'b' })
  terminal.settle()
  expect(said).toEqual({ out: '{"type":"a"}\n{"type":"b"}\n', err: '' })
})

it('escapes what would move the cursor or turn the text around, and in a list what would be another line', () => {
  const hostile = '\u001b]0;title\u0007\u009b2J\r\u202eab\u007f\tend'
  const escaped = '\\u001b]0;title\\u0007\\u009b2J\\u000d\\u202eab\\u007f\tend'
  const said = capture()
  const terminal = openTerminal({ json: false })
  terminal.print(`${hostile}\nnext`)
  terminal.print(['a\nforged', 'b'])
  terminal.note(hostile)
  expect(said).toEqual({ out: `${escaped}\nnext\na\\u000aforged\nb\n`, err: `${escaped}\n` })
  openTerminal({ json: true }).event({ type: hostile })
  const line = said.out.split('\n').at(-2)!
  expect(line).not.toMatch(/[\p{Cc}\u202e]/u)
  expect(JSON.parse(line)).toEqual({ type: hostile })
})

it('counts the rate from the first call on, whatever is printed in between, and anew for another label or from an earlier place', () => {
  const said = noTerminal()
  const terminal = openTerminal({ json: false })
  const students = (label: string, first: number) => {
    for (let done = first; done <= first + 6; done++) {
      terminal.progress(label, done, 20, { unit: 'students' })
      terminal.note('trained')
      vi.advanceTimersByTime(4000)
    }
  }
  students('sweep', 0)
  students('sweep', 2)
  students('again', 10)
  expect(said.err.split('\n').filter((line) => line !== 'trained')).toEqual([
    'sweep 3 of 20 | 0.25 students/s | 1 min 8 s left',
    'sweep 6 of 20 | 0.25 students/s | 56 s left',
    'sweep 4 of 20 | 0.25 students/s | 1 min 4 s left',
    'sweep 7 of 20 | 0.25 students/s | 52 s left',
    'again 11 of 20 | 0.25 students/s | 36 s left',
    'again 14 of 20 | 0.25 students/s | 24 s left',
    '',
  ])
})

it('where stderr is no terminal, says every ten seconds how far it is and how long it will take', () => {
  const said = noTerminal()
  const terminal = openTerminal({ json: false })
  for (let second = 0; second <= 25; second++) {
    terminal.progress('export', 100 * second, 4000, { unit: 'rows', perSecond: 100 })
    vi.advanceTimersByTime(1000)
  }
  expect(said.err.split('\n')).toEqual([
    'export 1,100 of 4,000 | 100 rows/s | 29 s left',
    'export 2,200 of 4,000 | 100 rows/s | 18 s left',
    '',
  ])
})

it('writes what is given more at the end of the line', () => {
  const said = noTerminal()
  const terminal = openTerminal({ json: false })
  for (const done of [0, 10]) {
    terminal.progress('export', done, 20, { unit: 'rows', perSecond: 5, more: `accuracy ${done} %` })
    vi.advanceTimersByTime(11_000)
  }
  terminal.progress('export', 20, 20, { unit: 'rows', perSecond: 5, more: 'accuracy 90 %' })
  expect(said.err).toBe(
    'export 10 of 20 | 5.0 rows/s | 2.0 s left | accuracy 10 %\nexport 20 of 20 | 5.0 rows/s | 0.0 s left | accuracy 90 %\n',
  )
})
