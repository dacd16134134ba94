import { access, constants } from 'node:fs/promises'
import sharp, { type Sharp } from 'sharp'
import { DecantError } from '../errors.js'
import { type Geometry, MAX_PIXELS, planGeometry, type Size, sizeText } from './geometry.js'
import type { Preprocess } from './preprocess.js'

// Four images in flight with one thread each beat one image on four threads; libvips' operation cache would keep files that have changed.
sharp.concurrency(1)
sharp.cache(false)
export const IN_FLIGHT = 4

/** What determines the decoded bytes beside file and preprocessing: another version may round or resample differently. */
export const decoder = `sharp ${sharp.versions.sharp}, libvips ${sharp.versions.vips}`

/** Recognised by content, never by name; SVG is left out because it is a program that can name other files. */
const FORMATS = new Set(['jpeg', 'png', 'webp', 'tiff', 'gif', 'heif'])

export type Channels = 1 | 3

/** The path of an image file, or its bytes. */
export type ImageData = string | Uint8Array

/** Width, height (after EXIF rotation) and format of an image file, from its header. @throws DecantError, see decodeImage */
export async function readHeader(path: ImageData): Promise<Size & { format: string }> {
  const metadata = await open(path)
    .metadata()
    .catch(async (cause) => {
      const { code } =
        typeof path === 'string' ? ((await access(path, constants.R_OK).catch((error) => error)) ?? {}) : {}
      if (code) throw new DecantError(`cannot be read: ${code}`)
      throw new DecantError(`not an image (${[...FORMATS].join(', ')}), or its header is damaged`, { cause })
    })
  const { format, autoOrient } = metadata
  if (!FORMATS.has(format)) throw new DecantError(`${format} images are not supported`)
  if (autoOrient.width * autoOrient.height > MAX_PIXELS)
    throw new DecantError(`${sizeText(autoOrient)}: at most ${MAX_PIXELS} pixels are allowed`)
  return { format, width: autoOrient.width, height: autoOrient.height }
}

/**
 * Decodes an image file through the pixel part of `preprocess`: uint8 [height, width, channels].
 * EXIF rotation is applied; alpha is composited onto black (so a transparent black pixel, the usual one, stays black as in PIL's `convert('RGB')`);
 * CMYK and other spaces become sRGB by their profile; 16 bits keep their upper 8; of an animation the first frame is taken.
 * @throws DecantError with one line that does not name the file (the caller knows it) and is the same at every run: it goes into the manifest, and libvips'
 * own messages come from a buffer that all threads share, so they are only the `cause`
 */
export async function decodeImage(
  path: ImageData,
  preprocess: Preprocess,
  channels: Channels,
): Promise<Size & { data: Uint8Array }> {
  const { format, ...size } = await readHeader(path)
  const plan = planGeometry(size, preprocess)
  const image = open(path).autoOrient().flatten({ background: '#000' })
  return render(image, plan, channels).catch((cause) => {
    throw new DecantError(`damaged or truncated ${format} data`, { cause })
  })
}

/** The same for pixels that are in memory: uint8 [height, width, from], gray where `from` is left out. */
export async function transformPixels(
  data: Uint8Array,
  size: Size & { from?: Channels },
  preprocess: Preprocess,
  channels: Channels,
): Promise<Uint8Array> {
  const { width, height, from = 1 } = size
  const image = sharp(data, { raw: { width, height, channels: from } })
  return (await render(image, planGeometry(size, preprocess), channels)).data
}

// 'error' refuses truncated and damaged files but not those with harmless warnings, of which ImageNet has many.
const open = (path: ImageData) => sharp(path, { failOn: 'error', limitInputPixels: MAX_PIXELS })

async function render(image: Sharp, plan: Geometry, channels: Channels): Promise<Size & { data: Uint8Array }> {
  // Without fastShrinkOnLoad the JPEG decoder never shrinks below twice the wanted size: Lanczos3 has the last word at every size.
  if (plan.resize) image = image.resize({ ...plan.resize, fit: 'fill', kernel: 'lanczos3', fastShrinkOnLoad: false })
  if (plan.crop) image = image.extract(plan.crop)
  const { data, info } = await image.toColourspace('srgb').raw({ depth: 'uchar' }).toBuffer({ resolveWithObject: true })
  if (info.width !== plan.result.width || info.height !== plan.result.height)
    throw new DecantError(
      `decoded to ${info.width}×${info.height}, expected ${plan.result.width}×${plan.result.height}`,
    )
  return { ...plan.result, data: toChannels(data, info.channels, channels) }
}

function toChannels(data: Uint8Array, from: number, to: Channels): Uint8Array {
  if (from === to) return data
  if (from === 1) return grayToRgb(data)
  if (from === 3) return rgbToGray(data)
  throw new DecantError(`decoded to ${from} channels, expected 1 or 3`)
}

/** ITU-R 601-2 luma in 16-bit fixed point (19595 + 38470 + 7471 = 65536), so that r = g = b is kept exactly. uint8 [n, 3] -> [n]. */
export function rgbToGray(rgb: Uint8Array): Uint8Array {
  const gray = new Uint8Array(rgb.length / 3)
  for (let i = 0, at = 0; i < gray.length; i++, at += 3)
    gray[i] = (rgb[at]! * 19595 + rgb[at + 1]! * 38470 + rgb[at + 2]! * 7471 + 0x8000) >>> 16
  return gray
}

/** uint8 [n] -> [n, 3]. */
export function grayToRgb(gray: Uint8Array): Uint8Array {
  const rgb = new Uint8Array(gray.length * 3)
  for (let i = 0, at = 0; i < gray.length; i++, at += 3) rgb[at] = rgb[at + 1] = rgb[at + 2] = gray[i]!
  return rgb
}
