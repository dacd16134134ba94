import { defineConfig } from 'tsdown'

// Unbundled: the worker threads are files of their own, found beside the modules that start them.
export default defineConfig({
  entry: ['src/**/*.ts'],
  unbundle: true,
  format: 'esm',
  platform: 'node',
  target: 'node20',
  dts: true,
  outExtensions: () => ({ js: '.js', dts: '.d.ts' }),
})
