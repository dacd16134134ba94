import { dirname, resolve } from 'node:path'
import { z } from 'zod'
import { DecantError, FormatError } from '../errors.js'
import { readInput } from '../input-file.js'
import { parseJson } from '../json.js'
import { show } from './labels.js'
import { type Crop, cropSchema, type Resize, resizeSchema } from './pixel-options.js'
import { readTokenizerFile } from './tokenizer-file.js'

/**
 * What happens to an image between its file and the teacher, declared and guessed from nothing. Order: decode (EXIF rotation, alpha onto
 * black, sRGB, 8 bits), gray, a crop by ratio, resize, a crop by size, the order of the channels: that is the pixel part, and gives the source's
 * uint8 [height, width, channels]; then (x·scale - mean) / std and the layout, which are fused into the teacher's graph.
 */
export interface Preprocess {
  version: 1
  /** Channels of the image: 3, or 1. Default: what an IDX file has (1); rgb for image folders. Gray is ITU-R 601 luma, as PIL's `convert('L')`. */
  color?: 'rgb' | 'bgr' | 'gray'
  resize?: Resize
  /** By size after resize, or by ratio before it. */
  crop?: Crop
  /** Multiplies the bytes 0..255; not 0. Default 1/255. */
  scale?: number
  /** Per channel, in the order of `color`, after scale. Default 0. */
  mean?: number[]
  /** Per channel, after scale; not 0. Default 1. */
  std?: number[]
  /** What the teacher takes. Default NCHW. */
  layout?: 'NCHW' | 'NHWC'
  /** How text, or lists of token ids, become rows of tokens. */
  text?: TextPreprocess
}

export interface TextPreprocess {
  /** Path of a tokenizer.json (Hugging Face tokenizers), in a preprocessing file relative to it. Absent: the column holds token ids. */
  tokenizer?: string
  /** SHA-256 of the tokenizer's file, hex: what its ids mean. `readPreprocess` fills it in. */
  sha256?: string
  /** Tokens of a row: shorter texts are padded at their end with -1, longer ones truncated. */
  length: number
  /** The side that is cut from a longer text; special tokens stay. Default right. */
  truncate?: 'right' | 'left'
  /** Whether the tokenizer adds its special tokens ([CLS], </s>, …). Default true. */
  special?: boolean
  /** The id, or of a tokenizer the token, that the teacher is fed at padding. Default: the tokenizer's own padding, else the id that the teacher's graph compares ids with, else 0. */
  pad?: number | string
  /** Where the teacher is fed padding; the dataset's positions are in the order of the text, padding behind them. Default right. */
  padSide?: 'left' | 'right'
  /** How many ids there are: 0 to vocabulary - 1 are what students learn to take. Default: those of the tokenizer's file, else those that the teacher's graph knows; an export fills it in. */
  vocabulary?: number
}

/** Of a row. The longest contexts in use have some millions. */
const MAX_TOKENS = 2 ** 22

const notZero = z.number().refine((value) => value !== 0, 'expected a number that is not 0')
const schema: z.ZodType<Preprocess> = z
  .strictObject({
    version: z.literal(1),
    color: z.enum(['rgb', 'bgr', 'gray']).optional(),
    resize: resizeSchema.optional(),
    crop: cropSchema.optional(),
    scale: notZero.optional(),
    mean: z.array(z.number()).min(1).optional(),
    std: z.array(notZero).min(1).optional(),
    layout: z.enum(['NCHW', 'NHWC']).optional(),
    text: z
      .strictObject({
        tokenizer: z.string().min(1).optional(),
        sha256: z
          .string()
          .regex(/^[0-9a-f]{64}$/)
          .optional(),
        length: z.int().min(1).max(MAX_TOKENS),
        truncate: z.enum(['right', 'left']).optional(),
        special: z.boolean().optional(),
        pad: z
          .union(
            [
              z
                .int()
                .min(0)
                .max(2 ** 31 - 1),
              z.string().min(1),
            ],
            'expected an id or a token',
          )
          .optional(),
        padSide: z.enum(['left', 'right']).optional(),
        vocabulary: z
          .int()
          .min(1)
          .max(2 ** 31)
          .optional(),
      })
      .optional(),
  })
  .refine(
    ({ resize, crop }) => !(resize?.draft && crop && 'ratio' in crop),
    'resize.draft does not go with crop.ratio, which is cut out of the whole image',
  )
  .refine(
    ({ resize, crop }) => !(resize && 'fit' in resize && crop && 'width' in crop),
    'a crop by size does not go with resize.fit: pad, which gives the size',
  )

/** Checks a value from outside. `where` begins the message. @throws FormatError: unknown version, unknown keys, wrong types or ranges */
export function parsePreprocess(value: unknown, where: string): Preprocess {
  const parsed = schema.safeParse(value, { reportInput: true })
  if (parsed.success) return parsed.data
  const issue = parsed.error.issues[0]!
  const key = issue.path.length > 0 ? `${issue.path.join('.')}: ` : ''
  if (issue.code === 'unrecognized_keys')
    throw new FormatError(`${where}: ${key}unknown key ${issue.keys.map((k) => `'${k}'`).join(', ')}`)
  throw new FormatError(`${where}: ${key}${issue.message}, found ${show(issue.input)}`)
}

/** Reads a preprocessing file (JSON), and hashes the tokenizer that it names. @throws DecantError if it cannot be read; FormatError if it is not JSON or not a Preprocess of version 1 */
export async function readPreprocess(path: string): Promise<Preprocess> {
  const content = await readInput(path).catch((error: NodeJS.ErrnoException) => {
    if (error instanceof DecantError) throw error
    throw new DecantError(`${path}: cannot read the preprocessing file: ${error.code ?? error.message}`)
  })
  const { text, ...preprocess } = parsePreprocess(parseJson(String(content), path), path)
  if (!text?.tokenizer) return { ...preprocess, ...(text && { text }) }
  const tokenizer = resolve(dirname(path), text.tokenizer)
  const { sha256 } = await readTokenizerFile(tokenizer)
  if (text.sha256 !== undefined && text.sha256 !== sha256)
    throw new DecantError(`${path}: text.sha256 is ${text.sha256}, but ${tokenizer} has ${sha256}`)
  return { ...preprocess, text: { ...text, tokenizer, sha256 } }
}

/**
 * The numeric part as one multiplication and one addition a channel, float32 [channels] each: (x·scale - mean)/std = x·multiply + add for bytes x,
 * computed in float64 and rounded once.
 * @throws DecantError where mean or std has another number of entries than there are channels
 */
export function affine(p: Preprocess, channels: number): { multiply: Float32Array; add: Float32Array } {
  for (const [name, values] of Object.entries({ mean: p.mean, std: p.std }))
    if (values && values.length !== channels)
      throw new DecantError(`preprocess: ${name} has ${values.length} entries, the images have ${channels} channels`)
  const scale = p.scale ?? 1 / 255
  const multiply = new Float32Array(channels)
  const add = new Float32Array(channels)
  for (let c = 0; c < channels; c++) {
    const std = p.std?.[c] ?? 1
    multiply[c] = scale / std
    add[c] = (0 - (p.mean?.[c] ?? 0)) / std
  }
  return { multiply, add }
}
