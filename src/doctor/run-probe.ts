import { spawn } from 'node:child_process'
import { createRequire } from 'node:module'
import { fileURLToPath, pathToFileURL } from 'node:url'

/** What is tried in a process of its own, since what is broken may kill it, or never answer. */
export interface Probe {
  kind: 'provider' | 'engine' | 'package'
  name: string
}

/** Rows and columns of the matrices that providers multiply: 2.1 GFLOP, tens of milliseconds of a processor. */
export const SIDE = 1024

/** What the probe's process says. */
export type ProbeAnswer = { milliseconds: number; version: string } | { version: string } | { error: string }

/** `error` is one line. */
export type ProbeResult = { milliseconds?: number; version?: string; error?: string }

/** Marks the line of the answer. */
export const MARK = 'decant-probe:'

export interface ProbeOptions {
  /** Seconds until the process is killed. */
  limit: number
  signal?: AbortSignal | undefined
  /** Another program than the probe's own. */
  command?: string[]
}

export function runProbe({ kind, name }: Probe, options: ProbeOptions): Promise<ProbeResult> {
  const { limit, signal, command = [...own(), kind, name] } = options
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, command, { stdio: ['ignore', 'pipe', 'pipe'] })
    let [out, err, late] = ['', '', false]
    const kill = () => child.kill('SIGKILL')
    child.stdout.setEncoding('utf8').on('data', (text) => {
      out += text
      if (answerIn(out)) kill() // what native threads are left need not end by themselves
    })
    child.stderr.setEncoding('utf8').on('data', (text) => (err += text))
    const timer = setTimeout(() => {
      late = true
      kill()
    }, limit * 1000)
    signal?.addEventListener('abort', kill)
    const end = () => {
      clearTimeout(timer)
      signal?.removeEventListener('abort', kill)
    }
    child.on('error', (error) => {
      end()
      resolve({ error: error.message })
    })
    child.on('close', (code, killed) => {
      end()
      if (signal?.aborted) return reject(signal.reason)
      const answer = answerIn(out)
      if (answer) return resolve(oneLine(JSON.parse(answer) as ProbeResult))
      if (late) return resolve({ error: `no answer in ${limit} s: its process was killed` })
      const last = err.trim().split('\n').at(-1)
      const how = killed ? `was killed by ${killed}` : `ended with code ${code}`
      resolve({ error: `its process ${how}${last ? `: ${last.trim()}` : ''}` })
    })
  })
}

const answerIn = (out: string) => out.split(`\n${MARK}`)[1]?.match(/^(.*)\n/)?.[1]

function oneLine(result: ProbeResult): ProbeResult {
  if (result.error === undefined) return result
  return { error: result.error.trim().replace(/\s+/g, ' ') }
}

/** probe.js of the built package, or probe.ts through tsx. */
function own(): string[] {
  const here = import.meta.url
  const probe = (extension: string) => fileURLToPath(new URL(`./probe.${extension}`, here))
  if (!here.endsWith('.ts')) return [probe('js')]
  return ['--import', pathToFileURL(createRequire(here).resolve('tsx')).href, probe('ts')]
}
