import { vi } from 'vitest'
import { buildProgram } from '../../src/cli/program.js'

/** Keeps what is written to stdout and stderr until `restore`. */
export function captureOutput(): { said: { out: string; err: string }; restore(): void } {
  const said = { out: '', err: '' }
  const capture = (stream: NodeJS.WriteStream, key: 'out' | 'err') =>
    vi.spyOn(stream, 'write').mockImplementation((text) => {
      said[key] += String(text)
      return true
    })
  const spies = [capture(process.stdout, 'out'), capture(process.stderr, 'err')]
  return {
    said,
    restore() {
      for (const spy of spies) spy.mockRestore()
    },
  }
}

/** Runs a command in this process and gives what it wrote. Errors pass through. */
export async function runCommand(...args: string[]): Promise<{ out: string; err: string }> {
  const { said, restore } = captureOutput()
  try {
    await buildProgram().parseAsync(args, { from: 'user' })
    return said
  } finally {
    restore()
  }
}

/** The events that a command with --json wrote, one a line. */
export const eventsOf = (out: string): Record<string, unknown>[] =>
  out
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line))
