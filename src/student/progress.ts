import { rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { temporaryOf } from '../cache/files.js'
import { type EpochRecord, epochSchema, type Progress } from './checkpoint.js'
import type { StudentConfig } from './config.js'
import { readJson, TRAINING } from './folder.js'

/** How far a student's training is, for who looks into its folder meanwhile. Nothing goes on from it: that is what checkpoints are for. */
export interface TrainingState {
  config: unknown
  step: number
  steps: number
  /** mean of the epoch that is under way; null before its first step */
  loss: number | null
  history: EpochRecord[]
}

const schema = z.object({
  config: z.unknown(),
  step: z.int().min(0),
  steps: z.int().min(0),
  loss: z.number().nullable(),
  history: z.array(epochSchema),
})

/** How often it is written, in ms. */
const EVERY = 1000

/** Keeps training.json in a student's folder up to date; without a folder it does nothing. */
export function openTrainingFile(dir: string | undefined, { config, steps }: { config: StudentConfig; steps: number }) {
  let written = Number.NEGATIVE_INFINITY
  const path = dir === undefined ? undefined : join(dir, TRAINING)
  return {
    /** @param now whatever the time since it was written last */
    async write({ step, loss, weight, history }: Progress, now = false): Promise<void> {
      if (path === undefined || (!now && performance.now() - written < EVERY)) return
      written = performance.now()
      const state: TrainingState = { config, step, steps, loss: weight > 0 ? loss / weight : null, history }
      // Neither synced nor needed: a disk that is full is said by the checkpoint.
      const temporary = temporaryOf(path)
      await writeFile(temporary, JSON.stringify(state), { flag: 'wx' })
        .then(() => rename(temporary, path))
        .catch(() => rm(temporary, { force: true }).catch(() => {}))
    },
  }
}

/** Undefined where there is none, or none that can be read. */
export async function readTrainingState(dir: string): Promise<TrainingState | undefined> {
  const found = await readJson(join(dir, TRAINING)).catch(() => undefined)
  return schema.safeParse(found).data
}
