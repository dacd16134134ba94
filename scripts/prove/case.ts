import { readFile } from 'node:fs/promises'
import { join } from 'node:path'

/** One teacher, as scripts/prove/teachers/make.py lists it in cases.json. */
export interface Entry {
  exporter: string
  title: string
  /** Its folder beside cases.json; absent where a whole exporter could not be imported. */
  folder?: string
  /** Why there is no teacher. */
  error?: string | null
}

/** What a teacher's folder says of it in case.json: scripts/prove/teachers/case.py. */
export interface Facts {
  /** What the output means. Scores are compared as they are, all else as probabilities; what gives nothing must be refused. */
  gives: 'probabilities' | 'sigmoid' | 'logits' | 'logit' | 'log-probabilities' | 'scores' | 'nothing'
  /** Of `expected`: [N, C], or of sequences [N, L, C]. */
  shape: number[]
  /** What the model calls its classes, [C]. */
  names: (string | number)[]
  /** The class of each row, -1 = none, [N]. */
  truth: number[]
  /** Share of rows whose label output is the class of the greatest value; null where there is no label output. */
  agreement: number | null
  /** Largest error that counts as none. */
  tolerance: number
  /** Of decant export: the source, and what belongs to it. */
  args: string[]
  /** What is added once decant has refused. */
  told: string[]
  /** The last operators of the graph. */
  tail: string
}

export interface Case extends Facts {
  dir: string
  /** Probabilities or scores as Python's ONNX Runtime gives them, row-major; NaN behind the end of a sequence. */
  expected: Float64Array
  /** The same of the library that the teacher was fitted with, where it has an answer. */
  library: Float64Array | undefined
}

export async function readCase(dir: string): Promise<Case> {
  const facts = JSON.parse(await readFile(join(dir, 'case.json'), 'utf8')) as Facts
  const expected = await readFloats(join(dir, 'expected.f64'))
  if (!expected && facts.gives !== 'nothing') throw new Error(`${dir}: expected.f64 is missing`)
  return {
    ...facts,
    dir,
    expected: expected ?? new Float64Array(),
    library: await readFloats(join(dir, 'library.f64')),
  }
}

async function readFloats(path: string): Promise<Float64Array | undefined> {
  const bytes = await readFile(path).catch(() => undefined)
  return bytes && new Float64Array(new Uint8Array(bytes).buffer)
}
