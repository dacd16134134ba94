import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Filter, filters, planResampling, resample } from '../../src/source/resample/index.js'
import { applyView, parseAugment } from '../../src/source/views/index.js'
import { hasPackage, python } from '../helpers/python.js'

// 20 sizes up and down, of noise and of something like a photograph: see resize-pictures.py.
const ready = ['PIL', 'cv2', 'torch'].every(hasPackage)
const folder = mkdtempSync(join(tmpdir(), 'decant-pictures-'))
let pictures: { kind: string; from: [number, number]; to: [number, number] }[]

beforeAll(() => {
  if (!ready) return
  execFileSync(python, [fileURLToPath(new URL('resize-pictures.py', import.meta.url)), folder])
  pictures = JSON.parse(readFileSync(join(folder, 'pictures.json'), 'utf8'))
})
afterAll(() => rmSync(folder, { recursive: true }))

/** The most levels that a byte of any picture is off by, and how many bytes are. */
async function compare(library: string, filter: Filter, antialias: boolean) {
  let [most, off, bytes] = [0, 0, 0]
  for (const [i, { from, to: size }] of pictures.entries()) {
    const [width, height] = from
    const to = { width: size[0], height: size[1] }
    const plan = planResampling({ width, height }, { to, window: { left: 0, top: 0, ...to }, filter, antialias })
    const data = readFileSync(join(folder, `${i}.raw`))
    const { left, top, ...region } = plan.region
    const row = (y: number) =>
      data.subarray(((top + y) * width + left) * 3, ((top + y) * width + left + region.width) * 3)
    const rows = Buffer.concat(Array.from({ length: region.height }, (_, y) => row(y)))
    const made = (await resample({ data: rows, ...region, channels: 3 }, plan, 3)).data
    const expected = readFileSync(join(folder, `${i}-${library}-${filter}.raw`))
    expect(made.length).toBe(expected.length)
    for (let k = 0; k < made.length; k++) {
      const difference = Math.abs(made[k]! - expected[k]!)
      most = Math.max(most, difference)
      off += difference > 0 ? 1 : 0
    }
    bytes += made.length
  }
  return { most, share: off / bytes }
}

describe.skipIf(!ready)('pictures in another size', () => {
  test.each(filters)("%s: the bytes of Pillow 13's Image.resize", async (filter) => {
    expect(await compare('pillow', filter, true)).toEqual({ most: 0, share: 0 })
  })

  test.each([
    ['torch', 'bilinear'],
    ['torch', 'bicubic'],
    ['opencv', 'bilinear'],
    ['opencv', 'bicubic'],
  ] as const)('antialias false as %s, %s: within a level', async (library, filter) => {
    const { most } = await compare(library, filter, false)
    expect(most).toBeLessThanOrEqual(1)
  })

  // Where i·from/to is whole, a product of floats may lie below it: torch and OpenCV do so at different places.
  test.each(['torch', 'opencv'])(
    'antialias false as %s, nearest: the same bytes but where both may round',
    async (library) => {
      const { share } = await compare(library, 'nearest', false)
      expect(share).toBeLessThan(1e-3)
    },
  )

  test('the view rrc: within a level of a crop that Pillow enlarges, bilinear', () => {
    const picture = readFileSync(join(folder, 'crops.raw'))
    const pipeline = parseAugment('rrc', [48, 64, 3])
    for (const [x, y, width, height] of JSON.parse(readFileSync(join(folder, 'crops.json'), 'utf8'))) {
      const made = applyView(pipeline, picture, [width, height, x, y])
      const expected = readFileSync(join(folder, `crop-${x}-${y}-${width}-${height}.raw`))
      expect(made.length).toBe(expected.length)
      expect(Math.max(...made.map((level, i) => Math.abs(level - expected[i]!)))).toBeLessThanOrEqual(1)
    }
  })
})
