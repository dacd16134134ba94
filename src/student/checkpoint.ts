import { createHash } from 'node:crypto'
import { z } from 'zod'
import { replaceFile } from '../cache/files.js'
import { FormatError } from '../errors.js'
import { openInput, readInput } from '../input-file.js'
import { parseJson } from '../json.js'
import type { Provenance } from './folder.js'
import { decodeSafetensors, encodeSafetensors, type NamedTensor, readMetadata } from './safetensors.js'

/** One epoch as the history keeps it. */
export interface EpochRecord {
  /** 1, 2, … */
  epoch: number
  /** mean training loss over the epoch's rows */
  loss: number
  /** on the held-out rows, where there are any: accuracy (null without labels) and agreement with the teacher */
  accuracy?: number | null
  agreement?: number
}

/** Where training stands, apart from its tensors. Enough for the rest to come out bit for bit as without a break. */
export interface Progress {
  /** steps taken */
  step: number
  /** of the epoch that is under way: Σ loss·weight and Σ weight */
  loss: number
  weight: number
  history: EpochRecord[]
  /** early stopping: the best epoch and its score so far */
  best: { epoch: number; score: number } | null
}

export interface Checkpoint {
  progress: Progress
  /** the model's weights, the method's branches and memory, then the optimizer's state, then the best weights so far where there are any */
  tensors: NamedTensor[]
}

export const epochSchema: z.ZodType<EpochRecord> = z.strictObject({
  epoch: z.int(),
  loss: z.number(),
  accuracy: z.number().nullable().optional(),
  agreement: z.number().optional(),
})

const progressSchema: z.ZodType<Progress> = z.strictObject({
  step: z.int().min(0),
  loss: z.number(),
  weight: z.number(),
  history: z.array(epochSchema),
  best: z.strictObject({ epoch: z.int(), score: z.number() }).nullable(),
})

/** It is read at once, which takes less than 2 GiB. */
const MAX_BYTES = 2 ** 31 - 1

/** Writes a checkpoint in one step: a safetensors file whose metadata holds progress and provenance as JSON. */
export async function writeCheckpoint(path: string, checkpoint: Checkpoint, provenance: Provenance): Promise<void> {
  const said = { progress: JSON.stringify(checkpoint.progress), provenance: JSON.stringify(provenance) }
  const metadata = { decant: 'checkpoint 1', ...said, sha256: hashOf(checkpoint.tensors, said) }
  await replaceFile(path, encodeSafetensors(checkpoint.tensors, metadata))
}

/** A checkpoint, and the provenance of its student. @throws FormatError where it is none */
export async function readCheckpoint(path: string): Promise<Checkpoint & { provenance: unknown }> {
  const { tensors, metadata } = decodeSafetensors(await readInput(path, MAX_BYTES), path)
  const parsed = parseMetadata(metadata, path)
  // Those of before have none.
  if (metadata.sha256 !== undefined && metadata.sha256 !== hashOf(tensors, metadata))
    throw new FormatError(`${path}: damaged: it is not what its sha256 says; delete it to train from the start`)
  return { ...parsed, tensors }
}

/** Training goes on from what a damaged file says, and nobody would see it. */
function hashOf(tensors: NamedTensor[], { progress, provenance }: { progress?: string; provenance?: string }): string {
  const hash = createHash('sha256').update(JSON.stringify([progress, provenance]))
  for (const { name, shape, values } of tensors) hash.update(JSON.stringify([name, shape])).update(values)
  return hash.digest('hex')
}

/** What a checkpoint says of itself, without its tensors: how far a student is that is being trained. Undefined where there is none. */
export async function readProgress(path: string): Promise<{ progress: Progress; provenance: unknown } | undefined> {
  const file = await openInput(path).catch(() => undefined)
  if (!file) return undefined
  try {
    return parseMetadata(await readMetadata(file, path), path)
  } finally {
    await file.close()
  }
}

function parseMetadata(metadata: Record<string, string>, path: string): { progress: Progress; provenance: unknown } {
  if (metadata.decant !== 'checkpoint 1') throw new FormatError(`${path}: not a decant checkpoint of version 1`)
  const parse = (text = '') => parseJson(text, `${path}: metadata`)
  const progress = progressSchema.safeParse(parse(metadata.progress))
  if (!progress.success) throw new FormatError(`${path}: progress: ${progress.error.issues[0]!.message}`)
  return { progress: progress.data, provenance: parse(metadata.provenance) }
}
