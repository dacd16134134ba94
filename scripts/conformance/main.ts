import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { parseArgs } from 'node:util'
import { build } from 'esbuild'
import { compareWithKnown, readKnown, type Spec } from './known.js'

// npm run conformance [-- --backend cpu] [-- --only 'part of a name']
// tfjs-core's own tests, unchanged, on backend `onnx`. Fails on a failure that test/conformance-known.json does not list,
// and on a listed one that passes. No spec is left out; two of tfjs-core's 4,232 are for a backend named `cpu` only.
// With `--backend cpu` tfjs's own backend shows that this script itself is right.

const { values } = parseArgs({ options: { backend: { type: 'string' }, only: { type: 'string' } } })
const { backend = 'onnx', only = '' } = values
const root = resolve(import.meta.dirname, '../..')
const bundle = resolve(root, 'node_modules/.cache/decant/conformance.mjs')

await build({
  entryPoints: [resolve(import.meta.dirname, 'specs.ts')],
  outfile: bundle,
  bundle: true,
  format: 'esm',
  platform: 'node',
  mainFields: ['module', 'main'], // one copy of tfjs-core, in the form that its tests import
  treeShaking: false, // specs are side effects, which tfjs-core's package.json does not know
  ignoreAnnotations: true,
  external: ['onnxruntime-node', 'jasmine-core'],
  banner: {
    js: "import { createRequire as nodeRequire } from 'node:module'; const require = nodeRequire(import.meta.url);",
  },
  logLevel: 'error',
})

process.env.CONFORMANCE_BACKEND = backend
const started = performance.now()
const { runSpecs } = (await import(pathToFileURL(bundle).href)) as typeof import('./specs.js')
const specs: Spec[] = []
await runSpecs(only, (spec) => specs.push(spec))
const seconds = (performance.now() - started) / 1000

const count = (status: Spec['status']) => specs.filter((spec) => spec.status === status).length
const known = backend === 'onnx' ? readKnown(resolve(root, 'test/conformance-known.json')) : []
const { unknown, mended } = compareWithKnown(specs, known)
for (const { name, message } of unknown) console.log(`failed: ${name}\n  ${message?.split('\n')[0]}`)
if (only === '')
  for (const name of mended) console.log(`passes, so take it out of test/conformance-known.json: ${name}`)
console.log(`${count('pending')} pending, left out by tfjs-core itself; ${seconds.toFixed(0)} s`)
console.log(`conformance: ${count('passed')} passed, ${count('failed')} failed of ${specs.length}`)
process.exit(unknown.length + (only === '' ? mended.length : 0) > 0 ? 1 : 0) // a spec may leave a timer behind
