import { execFileSync } from 'node:child_process'

/** The Python that interop tests run: DECANT_PYTHON, or whatever python3 is. */
export const python = process.env.DECANT_PYTHON ?? 'python3'

/** Whether that Python has a package; says loudly that tests are skipped where it has not. */
export function hasPackage(name: string): boolean {
  try {
    execFileSync(python, ['-c', `import ${name}`], { stdio: 'ignore' })
    return true
  } catch {
    console.warn(`SKIPPED: '${python}' cannot import ${name}; set DECANT_PYTHON to a Python that can`)
    return false
  }
}

/** Runs a script that reads JSON from stdin and prints JSON. */
export function runPython<T>(script: string, input: unknown): T {
  const output = execFileSync(python, ['-c', script], {
    input: JSON.stringify(input),
    encoding: 'utf8',
    maxBuffer: 2 ** 28,
  })
  return JSON.parse(output) as T
}
