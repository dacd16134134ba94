/** tfjs-core's published tests, as one bundle: jasmine first, the backend to test next, then every spec. */
import './globals.js'
import './backends.js'
import '@tensorflow/tfjs-core/dist/tests.js'
import type { Spec } from './known.js'

/** What of jasmine 3 is used here. */
interface Jasmine {
  getEnv(): {
    configure(options: { random: boolean; specFilter?: (spec: { getFullName(): string }) => boolean }): void
    addReporter(reporter: {
      specDone(result: SpecResult): void
      suiteDone(result: Omit<SpecResult, 'status'>): void
      jasmineDone(): void
    }): void
    execute(): void
  }
}

interface SpecResult {
  fullName: string
  status: 'passed' | 'failed' | 'pending' | 'excluded'
  failedExpectations: { message: string }[]
}

/** Runs the specs whose name contains `text`, in the order in which they are written. */
export function runSpecs(text: string, onSpec: (spec: Spec) => void): Promise<void> {
  const { jasmine } = globalThis as unknown as { jasmine: Jasmine }
  const env = jasmine.getEnv()
  env.configure({ random: false, specFilter: (spec) => spec.getFullName().includes(text) })
  return new Promise((resolve) => {
    env.addReporter({
      specDone: ({ fullName, status, failedExpectations }) => {
        if (status !== 'excluded') onSpec({ name: fullName, status, message: failedExpectations[0]?.message })
      },
      // What fails around specs, in beforeAll or afterAll, is no spec's failure.
      suiteDone: ({ fullName, failedExpectations: [first] }) => {
        if (first) onSpec({ name: fullName, status: 'failed', message: first.message })
      },
      jasmineDone: resolve,
    })
    env.execute()
  })
}
