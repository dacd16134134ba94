import { spawn } from 'node:child_process'
import { createRequire } from 'node:module'
import { join, resolve } from 'node:path'
import { createInterface } from 'node:readline'
import { pathToFileURL } from 'node:url'
import { exportsOf } from '../fixtures/old-datasets.js'

const tsx = pathToFileURL(createRequire(import.meta.url).resolve('tsx')).href

/** Starts decant from its source, with nothing in the environment but a PATH and what `env` says. */
function start(args: string[], env: Record<string, string>) {
  return spawn(process.execPath, ['--import', tsx, resolve('src/cli/main.ts'), ...args], {
    env: { PATH: process.env.PATH, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
}

async function ended(child: ReturnType<typeof start>, args: string[]): Promise<void> {
  let said = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (text) => (said += text))
  const code = await new Promise((resolve) => child.on('exit', resolve))
  if (code !== 0) throw new Error(`decant ${args.join(' ')} ended with ${code}: ${said}`)
}

/** Runs what loads ONNX Runtime, on the examples that lie in `dir`: export, train, doctor, and the viewer asking a student. */
export async function useDecant(dir: string, env: Record<string, string>): Promise<void> {
  const [targets, student] = [join(dir, 'f32'), join(dir, 'student')]
  const lines = [
    ['export', ...exportsOf(dir).f32!],
    ['train', targets, '--student', 'linear', '--epochs', '1', '--batch', '4', '--out', student],
    ['doctor'],
  ]
  for (const line of lines) await ended(start(line, env), line)

  const viewer = start(['view', targets, '--student', student], env)
  const exit = new Promise((resolve) => viewer.on('exit', resolve))
  try {
    for await (const line of createInterface({ input: viewer.stdout })) {
      const url = /http:\/\/127\.0\.0\.1:\d+\/\S*/.exec(line)?.[0]
      if (!url) continue
      const page = await fetch(url)
      if (!page.ok) throw new Error(`${url} answered ${page.status}`)
      break
    }
  } finally {
    viewer.kill('SIGTERM')
    await exit
  }
}
