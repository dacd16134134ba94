/** The process of one probe: it may be killed by what it tries. Its result is one line of JSON behind a mark, since native code may write to stdout, too. */
import type { Tensor2D } from '@tensorflow/tfjs-core'
import type { EngineName } from '../engine/engine.js'
import type { Provider } from '../teacher/provider.js'
import { MARK, type Probe, type ProbeAnswer } from './run-probe.js'

async function tryProvider(name: string): Promise<ProbeAnswer> {
  const { timeMatmul } = await import('./matmul.js')
  const { env } = await import('onnxruntime-node')
  return { milliseconds: await timeMatmul(name as Provider), version: `ONNX Runtime ${env.versions.node}` }
}

/** A product of two small matrices, as a training step would compile and run it. */
async function tryEngine(name: string): Promise<ProbeAnswer> {
  const { matMul } = await import('@tensorflow/tfjs-core')
  const { openEngine } = await import('../engine/engine.js')
  const engine = await openEngine(name as EngineName)
  const program = await engine.compile(({ x }) => ({ y: matMul(x as Tensor2D, x as Tensor2D) }), {
    inputs: { x: { shape: [2, 2], dtype: 'float32' } },
  })
  const { y } = await program.run({ x: Float32Array.of(1, 2, 3, 4) })
  if (y!.join() !== '7,10,15,22') throw new Error(`a wrong product: expected 7,10,15,22, found ${y!.join()}`)
  return { version: engine.backend }
}

/** An image there and back. */
async function trySharp(): Promise<ProbeAnswer> {
  const { default: sharp } = await import('sharp')
  const pixels = Buffer.from([0, 80, 160, 240])
  const png = await sharp(pixels, { raw: { width: 2, height: 2, channels: 1 } })
    .png()
    .toBuffer()
  const back = await sharp(png).toColourspace('b-w').raw().toBuffer()
  if (!back.equals(pixels)) throw new Error(`a wrong image: expected ${pixels.join()}, found ${back.join()}`)
  return { version: `libvips ${sharp.versions.vips}` }
}

/** The id of a word. */
async function tryTokenizers(): Promise<ProbeAnswer> {
  const { WordLevel, Tokenizer } = await import('tokenizers')
  const tokenizer = new Tokenizer(WordLevel.init({ '?': 0, word: 1 }, { unkToken: '?' }))
  const ids = (await tokenizer.encode('word')).getIds()
  if (ids.join() !== '1') throw new Error(`a wrong id: expected 1, found ${ids.join()}`)
  return { version: 'makes tokens of texts' }
}

const tryPackage = (name: string): Promise<ProbeAnswer> => (name === 'sharp' ? trySharp() : tryTokenizers())

const [kind, name] = process.argv.slice(2) as [Probe['kind'], string]
const tries = { provider: tryProvider, engine: tryEngine, package: tryPackage }
const answer = await tries[kind](name).catch((error: Error) => ({ error: error.message }))
process.stdout.write(`\n${MARK}${JSON.stringify(answer)}\n`)
