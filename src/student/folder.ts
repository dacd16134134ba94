import { mkdir, readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { diffJson } from '../cache/diff.js'
import { diskError, replaceFile } from '../cache/files.js'
import { DecantError, FormatError, MismatchError } from '../errors.js'
import type { StudentConfig } from './config.js'

/** Everything that a student's bits follow from; kept in its checkpoint and in student.json. */
export interface Provenance {
  /** What decant makes of a config, see recipe.ts; absent: 1 */
  recipe?: number
  config: StudentConfig
  engine: string
  /** sha256 of a user's own student module */
  module?: string
  /** sha256 of a user's own method module */
  methodModule?: string
  /** of tokens: how many ids the student knows */
  vocabulary?: number
  /** sha256 of manifest.json of the targets trained on, and of the teacher's file */
  manifest: string
  teacher: string
  /** sha256 of manifest.json of the targets evaluated on */
  evaluation?: string
}

export const SUMMARY = 'student.json'
export const CHECKPOINT = 'checkpoint.safetensors'
/** How far it is, while it trains. */
export const TRAINING = 'training.json'
/** Beside the folders of several students: all that are to be trained, names and configs, in their order. */
export const PLAN = 'plan.json'

/** Finds what a student's folder holds; makes it where there is none. @throws DecantError where it holds something else */
export async function openFolder(dir: string): Promise<'empty' | 'checkpoint' | 'finished'> {
  try {
    await mkdir(dir, { recursive: true })
    const files = await readdir(dir)
    if (files.includes(SUMMARY)) return 'finished'
    if (files.includes(CHECKPOINT)) return 'checkpoint'
    const foreign = files.find((file) => !file.endsWith('.tmp') && file !== TRAINING && !PARTS.includes(file))
    if (foreign) throw new DecantError(`${dir}: not empty and no student's folder: it holds ${foreign}`)
    return 'empty'
  } catch (error) {
    throw diskError(error, dir)
  }
}

/** The files of a student, in the order in which they are written: student.json comes last and says that it is whole. */
export const PARTS = ['model.json', 'weights.bin', 'student.onnx', 'preprocess.json', 'metrics.json', SUMMARY]

/** Says in a folder which students are to be trained in it, so that who looks sees those that have not begun. */
export async function writePlan(dir: string, plan: { name: string; config: StudentConfig }[]): Promise<void> {
  await mkdir(dir, { recursive: true })
  await replaceFile(join(dir, PLAN), `${JSON.stringify(plan, null, 2)}\n`)
}

/** @throws MismatchError with a line for each difference where `found` (of `path`) is not the student that is asked for */
export function checkProvenance(path: string, found: unknown, asked: Provenance): void {
  const lines = diffJson(found, asked)
  if (lines.length > 0) throw new MismatchError(`${path} is of another student:`, lines)
}

export async function readJson(path: string): Promise<unknown> {
  const text = await readFile(path, 'utf8').catch((error) => {
    throw diskError(error, path)
  })
  try {
    return JSON.parse(text)
  } catch (error) {
    throw new FormatError(`${path}: not JSON: ${(error as Error).message}`)
  }
}

/** Makes the folder of a sweep. @throws DecantError where it holds something else */
export async function openParent(dir: string): Promise<void> {
  await makeFolder(join(dir, 'students'))
  await refuseForeign(dir, { own: /^(students|(sweep\.(json|csv)|report\.html)(\.tmp)?)$/, what: 'sweep' })
}

/** Makes the folder of several students, and says in it which. @throws DecantError where it holds something else */
export async function openPlanned(dir: string, plan: Parameters<typeof writePlan>[1]): Promise<void> {
  await makeFolder(dir)
  await refuseForeign(dir, { own: /^(seed-\d+|plan\.json(\.tmp)?)$/, what: 'student' })
  await writePlan(dir, plan)
}

async function makeFolder(dir: string): Promise<void> {
  await mkdir(dir, { recursive: true }).catch((error) => {
    throw diskError(error, dir)
  })
}

async function refuseForeign(dir: string, { own, what }: { own: RegExp; what: string }): Promise<void> {
  const files = await readdir(dir).catch((error) => {
    throw diskError(error, dir)
  })
  const foreign = files.find((file) => !own.test(file))
  if (foreign) throw new DecantError(`${dir}: not empty and no ${what}'s folder: it holds ${foreign}`)
}
