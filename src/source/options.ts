import { z } from 'zod'
import { FormatError } from '../errors.js'
import type { LabelClasses } from './class-finder.js'

/** What opens the same rows again, beside the path and the preprocessing; a manifest keeps it. */
export type SourceOptions = {
  /** The files, in order, where there are several. */
  files?: string[]
  /** The file of labels of an IDX or NPY file. */
  labels?: string
  /** Column of the input, or columns of numbers that are joined. A dot leads into objects: `json.text`. */
  input?: string | string[]
  /** Column of the labels: class numbers, or names. */
  label?: string
  /** Column of the ids; else they are made of file and row. */
  id?: string
  /** Column of the mask of ids that come ready: 1 at tokens, 0 at padding. */
  attentionMask?: string
  /** What stood in the labels for each class: the manifest's `names`, and these numbers in the order of the logits. */
  classes?: { names?: true; numbers?: number[] }
}

const schema: z.ZodType<SourceOptions> = z.strictObject({
  files: z.array(z.string()).min(1).optional(),
  labels: z.string().optional(),
  input: z.union([z.string(), z.array(z.string()).min(1)]).optional(),
  label: z.string().optional(),
  id: z.string().optional(),
  attentionMask: z.string().optional(),
  classes: z
    .strictObject({ names: z.literal(true).optional(), numbers: z.array(z.int()).min(1).optional() })
    .optional(),
})

/** What a manifest keeps of the classes that were given. */
export function classesOption(classes: LabelClasses | undefined): Pick<SourceOptions, 'classes'> {
  const { names, numbers } = classes ?? {}
  return classes ? { classes: { ...(names && { names: true }), ...(numbers && { numbers: [...numbers] }) } } : {}
}

/** Checks what a manifest keeps. `where` begins the message. @throws FormatError: unknown keys, wrong types */
export function parseSourceOptions(value: unknown = {}, where: string): SourceOptions {
  const parsed = schema.safeParse(value)
  if (parsed.success) return parsed.data
  const { path, message } = parsed.error.issues[0]!
  throw new FormatError(`${where}: ${path.length > 0 ? `${path.join('.')}: ` : ''}${message}`)
}
