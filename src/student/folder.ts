import { readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { diffJson } from '../cache/diff.js'
import { diskError, makeFolder, readTemporary, removeTemporaries } from '../cache/files.js'
import { isLock, withLock } from '../cache/lock.js'
import { DecantError, MismatchError } from '../errors.js'
import { readInput } from '../input-file.js'
import { parseJson } from '../json.js'
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
  /** What tells both targets, times aside (`hashContent`): by this they are compared. Absent of older students. */
  content?: string
  evaluationContent?: string
}

export const SUMMARY = 'student.json'
export const CHECKPOINT = 'checkpoint.safetensors'
/** How far it is, while it trains. */
export const TRAINING = 'training.json'

/** What a student's folder holds, and only this process changes. */
export interface StudentFolder {
  holds: 'nothing' | 'checkpoint' | 'finished'
  /** Of a finished student: removes what was there for its training, which a kill may have left. */
  clear(): Promise<void>
}

/**
 * Does `work` in a student's folder, which is made where there is none. One that is finished, and has nothing to clear, may be read-only.
 * @throws DecantError where it holds something else, or another process writes to it
 */
export async function inFolder<T>(dir: string, work: (folder: StudentFolder) => Promise<T>): Promise<T> {
  await makeFolder(dir)
  const { holds, traces } = await look(dir)
  if (holds === 'finished' && !traces) return work({ holds, clear: async () => {} })
  return withLock(dir, async () => {
    await removeTemporaries(dir, OWN)
    const { holds } = await look(dir) // again: until now another process may have written to it
    return work({
      holds,
      async clear() {
        for (const name of WHILE_TRAINING) await rm(join(dir, name), { force: true })
      },
    })
  })
}

async function look(dir: string): Promise<Pick<StudentFolder, 'holds'> & { traces: boolean }> {
  const names = await readdir(dir).catch((error) => {
    throw diskError(error, dir)
  })
  const isTrace = (name: string) =>
    isLock(name) || WHILE_TRAINING.includes(name) || OWN.includes(readTemporary(name)?.of ?? '')
  const traces = names.some(isTrace)
  if (names.includes(SUMMARY)) return { holds: 'finished', traces }
  if (names.includes(CHECKPOINT)) return { holds: 'checkpoint', traces }
  const foreign = names.find((name) => !isTrace(name) && !PARTS.includes(name))
  if (foreign) throw new DecantError(`${dir}: not empty and no student's folder: it holds ${foreign}`)
  return { holds: 'nothing', traces }
}

/** The files of a student, in the order in which they are written: student.json comes last and says that it is whole. */
export const PARTS = ['model.json', 'weights.bin', 'student.onnx', 'preprocess.json', 'metrics.json', SUMMARY]
const WHILE_TRAINING = [CHECKPOINT, TRAINING]
const OWN = [...PARTS, ...WHILE_TRAINING]

/** @throws MismatchError with a line for each difference where `found` (of `path`) is not the student that is asked for */
export function checkProvenance(path: string, found: unknown, asked: Provenance): void {
  const { content, evaluationContent } = (found ?? {}) as Partial<Provenance>
  const known = ['content', 'evaluationContent'] // two ways to tell the same targets
  if (content !== undefined && content === asked.content) known.push('manifest')
  if (evaluationContent !== undefined && evaluationContent === asked.evaluationContent) known.push('evaluation')
  const lines = diffJson(found, asked, known)
  if (lines.length > 0) throw new MismatchError(`${path} is of another student:`, lines)
}

/** @throws DecantError where it cannot be read; FormatError where it is too large, or no JSON */
export async function readJson(path: string): Promise<unknown> {
  const text = await readInput(path).catch((error) => {
    throw diskError(error, path)
  })
  return parseJson(String(text), path)
}
