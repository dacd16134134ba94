import { z } from 'zod'
import { type Filter, filters, isInterpolating } from './resample/index.js'

/** What becomes of an image's size, as a preprocessing file declares it. */
export type Resize = ({ shorter: number } | BothSides) & ResizeOptions

interface ResizeOptions {
  /** Default lanczos3. */
  filter?: Filter
  /** false: as torch's interpolate and OpenCV, which look at neighbours only. Default true, as Pillow. */
  antialias?: boolean
  /** Large images are reduced by the decoder to twice the wanted size first: faster, and other pixels. */
  draft?: boolean
}

/** Pixels. */
interface BothSides {
  width: number
  height: number
  /** `pad` keeps the aspect ratio and fills the rest. Default: the image is stretched. */
  fit?: 'pad'
  /** 0..255: what the rest is filled with, or a value a channel in the order of `color`. Default 0. */
  fill?: number | number[]
  /** Where the image lies: in the middle, or at the left and the top. Default center. */
  align?: 'center' | 'start'
}

/** Pixels, from the centre, after resize; or the part of each side that stays, before it. */
export type Crop = { width: number; height: number } | { ratio: number }

/** Sides beyond this are a mistake: neither JPEG nor WebP can hold them. */
const MAX_SIDE = 65_535

const side = z.int().min(1).max(MAX_SIDE)
const byte = z.int().min(0).max(255)

export const resizeSchema = z
  .strictObject({
    shorter: side.optional(),
    width: side.optional(),
    height: side.optional(),
    filter: z.enum(filters).optional(),
    antialias: z.boolean().optional(),
    draft: z.boolean().optional(),
    fit: z.literal('pad').optional(),
    fill: z.union([byte, z.array(byte).min(1)], 'expected 0 to 255, or a list of it').optional(),
    align: z.enum(['center', 'start']).optional(),
  })
  .refine(
    ({ shorter, width, height }) =>
      (shorter === undefined) === (width !== undefined && height !== undefined) &&
      (shorter === undefined || (width ?? height) === undefined),
    'expected {shorter} or {width, height} in pixels',
  )
  .refine(({ fit, width }) => fit === undefined || width !== undefined, 'fit: pad goes with {width, height}')
  .refine(
    ({ fit, fill, align }) => fit !== undefined || (fill === undefined && align === undefined),
    'fill and align go with fit: pad',
  )
  .refine(
    ({ filter = 'lanczos3', antialias }) => antialias !== false || isInterpolating(filter),
    'antialias: false goes with the filters bilinear, bicubic and nearest',
  )
  .refine(
    ({ draft, filter, antialias }) => !draft || (antialias !== false && filter !== 'nearest'),
    'draft goes with filters that are antialiased',
  ) as z.ZodType<Resize>

export const cropSchema = z
  .strictObject({ width: side.optional(), height: side.optional(), ratio: z.number().gt(0).max(1).optional() })
  .refine(
    ({ width, height, ratio }) =>
      ratio === undefined ? width !== undefined && height !== undefined : (width ?? height) === undefined,
    'expected {width, height} in pixels or {ratio} of 0 to 1',
  ) as z.ZodType<Crop>
