import { execFileSync } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { affine, openSource, readPreprocess } from '../../src/source/index.js'
import { hasPackage, python } from '../helpers/python.js'

// The files of docs/preprocess against what the libraries that they are named after make of the same images: see library-inputs.py.
const files = readdirSync('docs/preprocess').map((file) => file.replace(/\.json$/, ''))
process.env.KERAS_BACKEND = 'torch' // without it Keras wants TensorFlow
const ready = ['PIL', 'cv2', 'torch', 'keras'].every(hasPackage)
const folder = mkdtempSync(join(tmpdir(), 'decant-inputs-'))

beforeAll(() => {
  if (ready) execFileSync(python, [fileURLToPath(new URL('library-inputs.py', import.meta.url)), folder])
})
afterAll(() => rmSync(folder, { recursive: true }))

/** Levels of a byte that may be off: 0 where Pillow resizes; 1.5 where the library rounds elsewhere, or not at all. */
const levels: Record<string, number> = { torchvision: 0, timm: 0, clip: 0, keras: 0, 'keras-caffe': 0 }

describe.skipIf(!ready)('a ready file gives the inputs that the library gives', () => {
  test.each(files)('%s', async (name) => {
    const preprocess = await readPreprocess(`docs/preprocess/${name}.json`)
    const source = await openSource(join(folder, 'images'), { preprocess })
    const [height, width, channels] = source.input.shape as [number, number, number]
    const { multiply, add } = affine(preprocess, channels)
    for (let image = 0; image < source.rows; image++) {
      const { inputs } = await source.read([image])
      const expected = new Float32Array(readFileSync(join(folder, `${name}-${image}.raw`)).buffer.slice(0))
      expect(inputs.length).toBe(expected.length)
      let most = 0
      for (let i = 0; i < inputs.length; i++) {
        const c = i % channels
        const at = preprocess.layout === 'NHWC' ? i : c * height * width + Math.floor(i / channels)
        most = Math.max(most, Math.abs(inputs[i]! * multiply[c]! + add[c]! - expected[at]!) / Math.abs(multiply[c]!))
      }
      expect(most).toBeLessThan((levels[name] ?? 1.5) + 1e-3)
    }
  })
})
