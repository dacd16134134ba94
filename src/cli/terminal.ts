import { SingleBar } from 'cli-progress'
import { count, duration } from './format.js'
import { plain, plainLine } from './plain.js'

/**
 * What a command says: results on stdout, progress and remarks on stderr, and with `--json` one event a line on stdout
 * and nothing else there.
 */
export interface Terminal {
  /** A result, for people; of a list each is one line. What is not for a terminal is escaped, here as in `note` and `event`. */
  print(text: string | string[]): void
  /** A remark, for people. */
  note(text: string): void
  /** An event, for scripts. */
  event(event: { type: string }): void
  /** `perSecond`: what was done since the label's first call, if not given; `more`: stands at the end. What is printed in between does not end the count. */
  progress(label: string, done: number, total: number, of: Progress): void
  /** Ends the progress line. */
  settle(): void
}

interface Progress {
  unit: string
  perSecond?: number
  more?: string
}

export function openTerminal({ json }: { json: boolean }): Terminal {
  const bar = json ? undefined : progressLine()
  return {
    print(text) {
      bar?.stop()
      if (!json) process.stdout.write(`${typeof text === 'string' ? plain(text) : text.map(plainLine).join('\n')}\n`)
    },
    note(text) {
      bar?.stop()
      if (!json) process.stderr.write(`${plain(text)}\n`)
    },
    event(event) {
      if (json) process.stdout.write(`${plain(JSON.stringify(event))}\n`)
    },
    progress: (...args) => bar?.show(...args),
    settle: () => bar?.stop(),
  }
}

/** Where stderr is no terminal a line is written at most this often. */
const PLAIN_EVERY_MS = 10_000

function progressLine() {
  const live = process.stderr.isTTY === true
  let bar: SingleBar | undefined
  let written = performance.now()
  let counted = { label: '', began: 0, first: 0, last: 0 }
  return {
    show(label: string, done: number, total: number, of: Progress) {
      const now = performance.now()
      if (label !== counted.label || done < counted.last) counted = { label, began: now, first: done, last: done }
      counted.last = done
      if (!bar) {
        bar = new SingleBar({
          format: `${label} {bar} {percentage} % | {done} of {all} | {speed} | {left} left{more}`,
          barsize: 24,
          hideCursor: true,
          noTTYOutput: false,
          stream: process.stderr,
        })
        if (live) bar.start(total, done, { done: count(done), all: count(total), speed: '', left: '?', more: '' })
      }
      const perSecond = of.perSecond ?? ((done - counted.first) / (now - counted.began)) * 1000
      const number = perSecond < 10 ? perSecond.toPrecision(2) : count(perSecond)
      const speed = perSecond > 0 ? `${number} ${of.unit}/s` : ''
      const left = perSecond > 0 ? duration((total - done) / perSecond) : '?'
      const more = of.more === undefined ? '' : ` | ${of.more}`
      if (live) bar.update(done, { done: count(done), all: count(total), speed, left, more })
      else if (now - written > PLAIN_EVERY_MS) {
        written = now
        process.stderr.write(`${label} ${count(done)} of ${count(total)} | ${speed} | ${left} left${more}\n`)
      }
    },
    stop() {
      if (live) bar?.stop()
      bar = undefined
    },
  }
}
