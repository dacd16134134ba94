import { join } from 'node:path'
import { z } from 'zod'
import { diskError } from '../cache/files.js'
import type { Chunk } from '../cache/index.js'
import { FormatError, MismatchError } from '../errors.js'
import { checkInput } from '../input-file.js'
import { affine, parsePreprocess } from '../source/index.js'
import { readJson } from '../student/folder.js'
import { moduleNames } from '../student/module.js'
import type { RowInputs } from './row-inputs.js'

/** A trained student that is asked what it says of rows. */
export interface AskedStudent {
  name: string
  input: { kind: 'image' | 'features' | 'tokens'; shape: number[] }
  /** Raw logits [classes] of some rows of a chunk, of sequences [L, classes]; null where a row's input is not at hand. */
  ask(inputs: RowInputs | null, of: { chunk: Chunk; rows: number[] }): Promise<(Float32Array | null)[]>
  close(): Promise<void>
}

/** Rows a call: the session keeps the thread that long. */
const BATCH = 64

const summary = z.object({
  format: z.literal('decant-student'),
  version: z.literal(1),
  classes: z.int().min(1),
  input: z.object({ kind: z.enum(['image', 'features', 'tokens']), shape: z.array(z.int().min(1)) }),
  provenance: z.object({ config: z.object({ student: z.string() }) }),
})

/** @throws FormatError where the folder holds no finished student; MismatchError where it has other classes */
export async function openStudent(dir: string, classes: number): Promise<AskedStudent> {
  const path = join(dir, 'student.json')
  const parsed = summary.safeParse(await readJson(path))
  if (!parsed.success) {
    const { path: key, message } = parsed.error.issues[0]!
    throw new FormatError(`${path}: ${key.join('.')}: ${message}`)
  }
  const { input, provenance } = parsed.data
  if (parsed.data.classes !== classes)
    throw new MismatchError(`${dir} is no student of these targets:`, [
      `classes: ${classes}, found ${parsed.data.classes}`,
    ])
  const prepare = input.kind === 'image' ? await normalisation(dir, input.shape) : undefined
  const ort = await import('onnxruntime-node') // not where there is no student: it takes long to load
  const model = join(dir, 'student.onnx')
  await checkInput(model).catch((error) => {
    throw diskError(error, model)
  })
  const damaged = (what: string) => new FormatError(`${model}: damaged, or no student that decant saved: ${what}`)
  const refuse = (error: Error) => {
    throw damaged(error.message.split('\n')[0]!)
  }
  const session = await ort.InferenceSession.create(model, { intraOpNumThreads: 1, logSeverityLevel: 3 }).catch(refuse)
  const { inputNames, outputNames } = session
  if (inputNames.length !== 1 || !outputNames.includes('logits')) {
    await session.release()
    throw damaged(
      `expected one input and the output logits, found ${inputNames.join(', ')} and ${outputNames.join(', ')}`,
    )
  }
  const width = input.shape.reduce((all, n) => all * n, 1)

  const run = async (batch: ArrayLike<number>[]): Promise<Float32Array[]> => {
    const n = batch.length
    const other = batch.find(({ length }) => length !== width)
    if (other) throw new FormatError(`${path}: input.shape: ${width} values a row, the rows have ${other.length}`)
    const fed = input.kind === 'tokens' ? new Int32Array(n * width) : new Float32Array(n * width)
    batch.forEach((values, i) => {
      fed.set(prepare ? prepare(values) : values, i * width)
    })
    const tensor = new ort.Tensor(input.kind === 'tokens' ? 'int32' : 'float32', fed as Float32Array, [
      n,
      ...input.shape,
    ])
    const { logits } = await session.run({ [session.inputNames[0]!]: tensor }).catch(refuse)
    const all = logits?.data
    if (!(all instanceof Float32Array) || all.length === 0 || all.length % (n * classes) !== 0)
      throw damaged(`expected ${classes} logits a row, found ${all?.length ?? 0} values of ${n} rows`)
    return batch.map((_, i) => all.slice((i * all.length) / n, ((i + 1) * all.length) / n))
  }
  return {
    name: moduleNames([provenance.config.student])(provenance.config.student),
    input,
    async ask(inputs, { chunk, rows }) {
      if (!inputs) return rows.map(() => null)
      const found: (Float32Array | null)[] = []
      for (let at = 0; at < rows.length; at += BATCH) {
        const values = await inputs.read(chunk, rows.slice(at, at + BATCH))
        const known = values.flatMap((one) => (one ? [one] : []))
        const logits = known.length > 0 ? await run(known) : []
        let next = 0
        for (const one of values) found.push(one ? logits[next++]! : null)
      }
      return found
    },
    close: () => session.release(),
  }
}

/** Bytes to what the model takes, as preprocess.json declares. */
async function normalisation(dir: string, shape: number[]): Promise<(values: ArrayLike<number>) => Float32Array> {
  const path = join(dir, 'preprocess.json')
  const channels = shape[2]!
  const { multiply, add } = affine(parsePreprocess(await readJson(path), path), channels)
  return (values) =>
    Float32Array.from({ length: values.length }, (_, i) => values[i]! * multiply[i % channels]! + add[i % channels]!)
}
