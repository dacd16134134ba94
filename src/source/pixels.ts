import { access, constants } from 'node:fs/promises'
import sharp, { type Sharp } from 'sharp'
import { DecantError } from '../errors.js'
import { createBudget } from './budget.js'
import type { Channels } from './channels.js'
import { type Box, MAX_PIXELS, planGeometry, type Size, sameSize, sizeText } from './geometry.js'
import type { Preprocess } from './preprocess.js'
import { type Pixels, RESAMPLER } from './resample/index.js'
import { cutOut, planTransform } from './transform.js'

// Four images in flight with one thread each beat one image on four threads; libvips' operation cache would keep files that have changed.
sharp.concurrency(1)
sharp.cache(false)
export const IN_FLIGHT = 4

/** Pixels that images in flight have together, unless one alone has more: 200 MB. */
const inMemory = createBudget(2 ** 26)

/** What determines the pixels of image files beside file and preprocessing: another version may round, or resample, differently. */
export const decoderOf = ({ resize }: Preprocess): string =>
  `sharp ${sharp.versions.sharp}, libvips ${sharp.versions.vips}${resize ? `, ${RESAMPLER}` : ''}`

/** Recognised by content, never by name; SVG is left out because it is a program that can name other files. */
const FORMATS = new Set(['jpeg', 'png', 'webp', 'tiff', 'gif', 'heif'])

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
  const draft = draftOf(size, preprocess)
  const { region, result, apply } = planTransform(draft ?? size, preprocess, channels)
  let image = open(path).autoOrient().flatten({ background: '#000' })
  if (draft) image = image.resize({ ...draft, fit: 'fill' })
  if (!sameSize(region, draft ?? size)) image = image.extract(region)
  return inMemory(region.width * region.height, async () => {
    const pixels = await render(image, region).catch((cause) => {
      throw new DecantError(`damaged or truncated ${format} data`, { cause })
    })
    return { ...result, data: await apply(pixels) }
  })
}

/** The same for pixels that are in memory: uint8 [height, width, from], gray where `from` is left out. */
export function transformPixels(
  data: Uint8Array,
  { from = 1, ...size }: Size & { from?: Channels },
  preprocess: Preprocess,
  channels: Channels,
): Promise<Uint8Array> {
  const { region, apply } = planTransform(size, preprocess, channels)
  return apply(cutOut({ data, ...size, channels: from }, region))
}

// 'error' refuses truncated and damaged files but not those with harmless warnings, of which ImageNet has many.
const open = (path: ImageData) => sharp(path, { failOn: 'error', limitInputPixels: MAX_PIXELS })

/** The size that a decoder brings an image to with `draft`: twice the wanted one, where that is at most half of its own. */
function draftOf({ width, height }: Size, preprocess: Preprocess): Size | undefined {
  const { resize } = preprocess.resize?.draft ? planGeometry({ width, height }, preprocess) : {}
  if (!resize || width < 4 * resize.width || height < 4 * resize.height) return undefined
  return { width: 2 * resize.width, height: 2 * resize.height }
}

async function render(image: Sharp, { width, height }: Box): Promise<Pixels> {
  const { data, info } = await image.toColourspace('srgb').raw({ depth: 'uchar' }).toBuffer({ resolveWithObject: true })
  if (info.width !== width || info.height !== height)
    throw new DecantError(`decoded to ${info.width}×${info.height}, expected ${width}×${height}`)
  if (info.channels !== 1 && info.channels !== 3)
    throw new DecantError(`decoded to ${info.channels} channels, expected 1 or 3`)
  return { data, width, height, channels: info.channels }
}
