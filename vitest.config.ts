import { defineConfig } from 'vitest/config'

// fast and slow need nothing but npm ci; interop needs Python with the packages that .ci/run lists.
const project = (name: string, include: string[], testTimeout: number) => ({
  test: { name, include, testTimeout, hookTimeout: testTimeout, pool: 'forks' as const },
})

export default defineConfig({
  test: {
    projects: [
      project('fast', ['test/**/*.test.ts', '!test/**/*.{slow,interop}.test.ts'], 20_000),
      project('slow', ['test/**/*.slow.test.ts'], 170_000),
      project('interop', ['test/**/*.interop.test.ts'], 300_000),
    ],
  },
})
