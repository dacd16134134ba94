import { mkdir, writeFile } from 'node:fs/promises'
import { defineConfig } from 'tsdown'
import { buildBundle } from './src/viewer/bundle.ts'

// Unbundled: the worker threads are files of their own, found beside the modules that start them.
export default defineConfig({
  entry: ['src/**/*.ts'],
  unbundle: true,
  format: 'esm',
  platform: 'node',
  target: 'node20',
  dts: true,
  outExtensions: () => ({ js: '.js', dts: '.d.ts' }),
  // The viewer's page is built here, so that the package needs no bundler.
  async onSuccess() {
    await mkdir('dist/viewer/page', { recursive: true })
    for (const [name, text] of Object.entries(await buildBundle())) {
      await writeFile(`dist/viewer/page/page.${name}`, text)
    }
  },
})
