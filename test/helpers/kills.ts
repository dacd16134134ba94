import { spawn } from 'node:child_process'
import { setTimeout as wait } from 'node:timers/promises'
import { expect } from 'vitest'
import { random } from '../../src/random.js'

/** A process that is to be killed; its code is null where it was. */
export interface Victim {
  kill(): void
  /** it has said something */
  begun: Promise<void>
  ended: Promise<number | null>
  /** what it wrote */
  said(): string
}

/** Runs a module of TypeScript in a process of its own. */
export function startVictim(module: string, ...args: string[]): Victim & { heard(text: string): Promise<void> } {
  const child = spawn(process.execPath, ['--import', 'tsx', module, ...args])
  let said = ''
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (text) => {
      said += text
    })
  const heard = (text: string) =>
    new Promise<void>((resolve) => child.stdout.on('data', () => said.includes(text) && resolve()))
  const ended = new Promise<number | null>((resolve) => child.once('exit', resolve))
  return { kill: () => child.kill('SIGKILL'), begun: heard(''), heard, ended, said: () => said }
}

/**
 * Kills what `start` runs at random moments, and runs it again into the same output, until it has been killed `kills` times; then it is let
 * end. An output that was finished before its kill is checked, and the next one begun.
 */
export async function killAtRandom(options: {
  name: string
  seed: number
  kills: number
  start(out: string): Victim
  /** before the first run into an output */
  prepare?(out: string): Promise<void>
  /** after a kill */
  onKilled?(out: string): Promise<void>
  /** of an output that is finished; the first, `whole`, was not disturbed */
  check(out: string): Promise<void>
}): Promise<void> {
  const { name, seed, start, prepare, onKilled, check } = options
  const finish = async (out: string, run = start(out)) => {
    expect(await run.ended, run.said()).toBe(0)
    await check(out)
  }
  await prepare?.('whole')
  const whole = start('whole')
  await whole.begun
  const began = performance.now()
  await whole.ended
  let takes = performance.now() - began
  await finish('whole', whole)

  const { uniform } = random(seed, name)
  let [kills, finished] = [0, 0]
  const next = () => `out-${finished}`
  await prepare?.(next())
  while (kills < options.kills) {
    const run = start(next())
    await Promise.race([run.begun, run.ended])
    await Promise.race([wait(uniform() * takes * 0.6), run.ended])
    run.kill()
    if ((await run.ended) === null) {
      kills++
      await onKilled?.(next())
      continue
    }
    await finish(next(), run)
    finished++ // the next kills are of a new one
    await prepare?.(next())
    takes *= 0.9 // it was over before the kill: the machine has become faster
  }
  await finish(next())
  console.log(`${name}: ${kills} kills over ${finished + 1} outputs of ${Math.round(takes)} ms`)
}
