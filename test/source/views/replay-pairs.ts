import { createHash } from 'node:crypto'
import { isMainThread, parentPort, workerData } from 'node:worker_threads'
import { createApply, drawView, parseAugment } from '../../../src/source/views/index.js'

// Draws and applies the views of some of the pairs and gives a digest of each pair's parameters and bytes: here, in a worker thread, or as
// `node --import tsx replay-pairs.ts <first> <step>` in a process of its own, which prints them.

export const SAMPLES = 1000
export const VIEWS = 10
export const AUGMENT = 'rrc,crop:3,flip,vflip,rotate90,jitter:0.4:0.4:0.4,erase,cutout:4,noise:8'

/** Pairs first, first + step, … of SAMPLES × VIEWS, the last first: what is drawn must not depend on what was drawn before. */
export function digestPairs(first: number, step: number): string[] {
  const pipeline = parseAugment(AUGMENT, [8, 8, 3])
  const apply = createApply(pipeline)
  const pixels = new Uint8Array(8 * 8 * 3)
  const into = new Uint8Array(8 * 8 * 3)
  const digests: string[] = []
  for (let pair = first; pair < SAMPLES * VIEWS; pair += step) digests.push(String(pair))
  for (let i = digests.length - 1; i >= 0; i--) {
    const pair = first + i * step
    const [sample, view] = [Math.floor(pair / VIEWS), pair % VIEWS]
    for (let k = 0; k < pixels.length; k++) pixels[k] = (k * (2 * sample + 1) * 37 + (k >> 3) * sample) & 255
    const p = drawView(pipeline, { seed: 7, id: `photo-${sample}.png`, view })
    apply(pixels, p, into)
    digests[i] = createHash('sha256').update(p).update(into).digest('hex').slice(0, 16)
  }
  return digests
}

const part = isMainThread ? undefined : (workerData as { part?: [number, number] } | undefined)?.part
if (part) parentPort!.postMessage(digestPairs(...part))
if (isMainThread && process.argv[1]?.endsWith('replay-pairs.ts'))
  process.stdout.write(digestPairs(Number(process.argv[2]), Number(process.argv[3])).join('\n'))
