import { execFileSync, spawn } from 'node:child_process'
import { createInterface } from 'node:readline'

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

/**
 * Runs a script that reads JSON from stdin and prints JSON, in a process of its own: a fork of a Python that has imported torch and
 * what its optimizers import, which takes seconds.
 */
export async function runTorch<T>(script: string, input: unknown): Promise<T> {
  torch ??= startTorch()
  const { output, error } = await torch({ script, input: JSON.stringify(input) })
  if (output === undefined) throw new Error(error)
  return JSON.parse(output) as T
}

type Answer = { output?: string; error?: string }
let torch: ((job: { script: string; input: string }) => Promise<Answer>) | undefined

function startTorch() {
  const child = spawn(python, ['-c', forks], { stdio: ['pipe', 'pipe', 'inherit'] })
  const answers = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  return async (job: { script: string; input: string }): Promise<Answer> => {
    child.stdin.write(`${JSON.stringify(job)}\n`)
    const { value, done } = await answers.next()
    return done ? { error: `'${python}' ended` } : (JSON.parse(value) as Answer)
  }
}

const forks = `
import io, json, os, sys, traceback
import torch, torch._dynamo
out = sys.stdout
for line in sys.stdin:
    job = json.loads(line)
    if os.fork() == 0:
        sys.stdin, sys.stdout = io.StringIO(job["input"]), io.StringIO()
        try:
            exec(job["script"], {"__name__": "__main__"})
            answer = {"output": sys.stdout.getvalue()}
        except BaseException:
            answer = {"error": traceback.format_exc()}
        print(json.dumps(answer), file=out, flush=True)
        os._exit(0)
    _, status = os.wait()
    if status:
        print(json.dumps({"error": f"the script's process ended with status {status}"}), file=out, flush=True)
`
