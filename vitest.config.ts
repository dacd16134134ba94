import './src/telemetry.ts'
import { defineConfig } from 'vitest/config'

// fast (npm test), long (npm run test:long) and faults (npm run faults) need nothing but npm ci; interop needs Python with the packages that .ci/run lists;
// servers nginx and moto; webgpu a Vulkan driver; browser Chromium; tensorflow what scripts/build-tfjs-node.sh makes.
const project = (name: string, include: string[], testTimeout: number, isolate = true) => ({
  test: {
    name,
    include,
    setupFiles: ['test/setup.ts'],
    testTimeout,
    hookTimeout: testTimeout,
    pool: 'forks' as const,
    isolate,
  },
})

export default defineConfig({
  test: {
    maxWorkers: 2, // the tests' work is on one core at a time
    projects: [
      project(
        'fast',
        ['test/**/*.test.ts', '!test/**/*.{long,faults,interop,servers,webgpu,tensorflow,browser}.test.ts'],
        20_000,
        false, // a process runs many files, a quarter faster than a process a file: no file replaces a module, each leaves the process as it was
      ),
      project('long', ['test/**/*.long.test.ts'], 170_000),
      project('faults', ['test/**/*.faults.test.ts'], 1_200_000),
      project('servers', ['test/**/*.servers.test.ts'], 120_000),
      project('webgpu', ['test/**/*.webgpu.test.ts'], 120_000),
      project('browser', ['test/**/*.browser.test.ts'], 60_000),
      project('tensorflow', ['test/**/*.tensorflow.test.ts'], 120_000),
      project('interop', ['test/**/*.interop.test.ts'], 300_000),
    ],
  },
})
