import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { createRequire } from 'node:module'
import type { Socket } from 'node:net'
import { setImmediate } from 'node:timers/promises'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { DecantError, FormatError, UnavailableError } from '../errors.js'
import { notTokenizer } from './tokenizer-file.js'
import type { Answer, TokenizerReady, TokenizerTask } from './tokenizer-process.js'

/** A tokenizer in a process of its own. `Q`: a text, or ids; `A`: its ids, or their text. */
export interface RunningTokenizer<Q, A> {
  /** Special tokens that each text gets. */
  added: number
  /** @throws FormatError, which does not say where the question comes from: it has no answer, or the library crashed on it */
  ask(question: Q): Promise<A>
  close(): void
}

const require = createRequire(import.meta.url)
/** What makes the ids, beside the file: another version may make others. */
export const tokenizerLibrary = `tokenizers ${(require('tokenizers/package.json') as { version: string }).version}`

/** Questions that are sent at once, and the characters or ids in them from which no more are added. */
const MAX_QUESTIONS = 256
const MAX_LENGTH = 2 ** 20
/** Of what a process writes about its end. */
const MAX_LAST_WORDS = 2 ** 14

interface Job<Q, A> {
  question: Q
  resolve(answer: A): void
  reject(error: Error): void
}

/**
 * Starts Hugging Face's library, which is written in Rust, in a process of its own: on a file that is made to do so, or a text that its
 * regular expressions give up on, it ends the process that it runs in. What is asked meanwhile is sent together.
 * The process keeps none alive that has nothing else to do.
 * @throws FormatError: not a tokenizer; UnavailableError: the library has no binary for this machine
 */
export async function startTokenizer<Q extends { length: number }, A>(
  path: string,
  task: TokenizerTask,
): Promise<RunningTokenizer<Q, A>> {
  let child: ChildProcess | undefined
  let closed = false
  let working = false
  const queue: Job<Q, A>[] = []
  const added = await load()

  async function load(): Promise<number> {
    child = startProcess()
    const reply = await exchange<TokenizerReady>(child, task).catch((error: Error) => {
      throw notTokenizer(path, `the library crashed on it: ${error.message}`)
    })
    if (reply.kind === 'ready') return reply.added
    child.kill()
    if (reply.kind === 'refused') throw notTokenizer(path, reply.reason)
    throw new UnavailableError(
      `${path}: ${tokenizerLibrary} does not run on ${process.platform} ${process.arch}: make the ids of the texts on another machine (${reply.reason.split('\n')[0]})`,
    )
  }

  async function work(): Promise<void> {
    working = true
    for (;;) {
      await setImmediate() // those whom an answer lets go on ask first
      if (queue.length === 0) break
      await answer(takeSome(queue))
    }
    working = false
  }

  async function answer(jobs: Job<Q, A>[]): Promise<void> {
    try {
      if (!child?.connected) await load()
      const questions = jobs.map(({ question }) => question)
      const answers = await exchange<Answer<A>[]>(child!, questions)
      for (const [i, job] of jobs.entries()) {
        const one = answers[i]!
        if ('value' in one) job.resolve(one.value)
        else job.reject(new FormatError(one.reason))
      }
    } catch (error) {
      child = undefined
      if (closed) for (const job of jobs) job.reject(new DecantError(`${path}: the tokenizer was closed`))
      else if (jobs.length > 1)
        for (const job of jobs) await answer([job]) // which of them it was
      else jobs[0]!.reject(new FormatError(`the tokenizer's library crashed on it: ${(error as Error).message}`))
    }
  }

  return {
    added,
    ask: (question) =>
      new Promise((resolve, reject) => {
        queue.push({ question, resolve, reject })
        if (!working) void work()
      }),
    close() {
      closed = true
      child?.kill()
    },
  }
}

function takeSome<J extends { question: { length: number } }>(queue: J[]): J[] {
  let [count, length] = [0, 0]
  while (count < Math.min(queue.length, MAX_QUESTIONS) && length < MAX_LENGTH) length += queue[count++]!.question.length
  return queue.splice(0, count)
}

/** tokenizer-process.js of the built package, or its .ts source through tsx. */
function startProcess(): ChildProcess {
  const here = import.meta.url
  const [extension, execArgv] = here.endsWith('.ts')
    ? ['ts', ['--import', pathToFileURL(require.resolve('tsx')).href]]
    : ['js', []]
  const child = fork(fileURLToPath(new URL(`./tokenizer-process.${extension}`, here)), [], {
    execArgv,
    serialization: 'advanced',
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    env: { ...process.env, RUST_BACKTRACE: '0' },
  })
  child.on('error', () => {}) // that it ended is heard by who waits for an answer
  hold(child, false)
  return child
}

/** Whether this process waits for a child's messages, or may end before them. */
function hold(child: ChildProcess, keep: boolean): void {
  for (const handle of [child, child.channel, child.stderr as Socket | null]) handle?.[keep ? 'ref' : 'unref']()
}

/** Sends a message and waits for the answer. @throws Error: the process has ended instead, with its last words */
async function exchange<T>(child: ChildProcess, message: object): Promise<T> {
  const ending = new AbortController()
  const { signal } = ending
  let words = ''
  child.stderr!.on('data', (text: Buffer) => {
    words = (words + text).slice(0, MAX_LAST_WORDS)
  })
  hold(child, true)
  try {
    return await new Promise<T>((resolve, reject) => {
      const [answered, closed] = [once(child, 'message', { signal }), once(child, 'close', { signal })]
      answered.then(([reply]) => resolve(reply as T), reject)
      closed.then(([code, killed]) => reject(new Error(reasonIn(words) || `it ended with ${killed ?? code}`)), reject)
      child.send(message, (error) => error && reject(error))
    })
  } finally {
    ending.abort()
    child.stderr!.removeAllListeners('data')
    hold(child, false)
  }
}

/** The line behind the place of a panic in Rust says why; else the first line. */
const reasonIn = (words: string): string | undefined =>
  words.match(/panicked at .*\n(.+)/)?.[1] ?? words.trim().split('\n')[0]
