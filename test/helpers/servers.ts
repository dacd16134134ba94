import { spawn } from 'node:child_process'
import { createServer } from 'node:net'
import { onTestFinished } from 'vitest'
import { python } from './python.js'

/** A port that was free a moment ago. */
export async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as { port: number }
  await new Promise((resolve) => server.close(resolve))
  return port
}

/** Waits until `url` answers, whatever it says. */
export async function waitFor(url: string, { ms = 30_000, alive = (): boolean => true } = {}): Promise<void> {
  for (const end = Date.now() + ms; ; ) {
    if (await fetch(url).then(Boolean, () => false)) return
    if (Date.now() > end || !alive()) throw new Error(`${url}: no answer`)
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}

export interface Moto {
  endpoint: string
  stop(): void
}

/** An S3 server of others: moto, from PyPI, on loopback. */
export async function startMoto(): Promise<Moto> {
  const port = await freePort()
  const child = spawn(python, ['-m', 'moto.server', '-H', '127.0.0.1', '-p', String(port)], {
    stdio: 'ignore',
    env: { ...process.env, MOTO_S3_DEFAULT_MAX_KEYS: '3' }, // so that paging is seen
  })
  const endpoint = `http://127.0.0.1:${port}`
  await waitFor(`${endpoint}/moto-api/`, { alive: () => child.exitCode === null })
  return { endpoint, stop: () => child.kill('SIGKILL') }
}

/** Environment variables for the time of a test. */
export function withEnvironment(changes: Record<string, string | undefined>): void {
  const before = Object.fromEntries(Object.keys(changes).map((name) => [name, process.env[name]]))
  const set = (values: Record<string, string | undefined>) => {
    for (const [name, value] of Object.entries(values))
      if (value === undefined) delete process.env[name]
      else process.env[name] = value
  }
  set(changes)
  onTestFinished(() => set(before))
}
