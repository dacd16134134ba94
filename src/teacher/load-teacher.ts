import { basename } from 'node:path'
import type { InferenceSession } from 'onnxruntime-node'
import { DecantError } from '../errors.js'
import { describeModel, findLogits, fuseTeacher, readModel, sessionSource } from '../onnx/index.js'
import { affine, type Preprocess, type Source, type SourceInput } from '../source/index.js'
import type { FeedSpec } from './run-rows.js'

export interface TeacherOptions {
  /** Path of the ONNX classifier. */
  teacher: string
  source: Pick<Source, 'input' | 'uri'>
  /** How bytes become the teacher's input. */
  preprocess?: Preprocess
  /** Name of the logits output, where the model has several candidates. */
  output?: string
  codec: 'f32' | 'f16'
}

/** A teacher whose graph takes the source's bytes and gives what the codec keeps. */
export interface LoadedTeacher {
  model: Uint8Array | string
  sessionOptions: InferenceSession.SessionOptions
  /** What it is fed: the source's data first. */
  inputs: readonly FeedSpec[]
  /** Known here only where the model declares it. */
  classes: number | undefined
  precision: 'float32' | 'float16'
  /** As the manifest records it. */
  origin: { file: string; sha256: string; opset: number; output: string; logits: TeacherLogits; producer: string }
}
export type TeacherLogits = ReturnType<typeof findLogits>['kind']

/**
 * Reads a teacher, finds its logits and fuses decoding of bytes in front and the codec's cast behind.
 * Throws FormatError (not an ONNX model), DecantError (several candidates for the logits; an input that does not fit the source).
 */
export async function loadTeacher(options: TeacherOptions): Promise<LoadedTeacher> {
  const { source, preprocess = { version: 1 }, codec } = options
  const model = await readModel(options.teacher)
  const description = describeModel(model)
  const found = findLogits(model, options.output === undefined ? {} : { output: options.output })
  const fused = naming(options.teacher, () =>
    fuseTeacher(found.proto, {
      output: found.output,
      positions: found.positions,
      target: codec,
      front: frontOf(source.input, preprocess),
    }),
  )
  const session = sessionSource(model, fused.proto)
  return {
    model: session.model,
    sessionOptions: session.options,
    inputs: [{ name: feedNames[source.input.kind], dtype: source.input.dtype, shape: source.input.shape }],
    classes: found.classes,
    precision: description.inputs.some(({ dtype }) => dtype === 'float16') ? 'float16' : 'float32',
    origin: {
      file: basename(options.teacher),
      sha256: model.sha256,
      opset: description.opset,
      output: found.from,
      logits: found.kind,
      producer: description.producer,
    },
  }
}

/** Graph edits know no files: what they refuse is said of the model's. */
function naming<T>(path: string, edit: () => T): T {
  try {
    return edit()
  } catch (error) {
    if (!(error instanceof DecantError)) throw error
    throw new DecantError(`${path}: ${error.message}`, { cause: error })
  }
}

const feedNames = { image: 'pixels', features: 'features', tokens: 'tokens' } as const

/** What comes before the teacher in its graph. */
function frontOf(input: SourceInput, preprocess: Preprocess) {
  if (input.kind === 'tokens') return { kind: input.kind, length: input.shape[0] }
  if (input.kind === 'features') return { kind: input.kind, shape: input.shape }
  const [height, width, channels] = input.shape
  const numeric = affine(preprocess, channels)
  return { kind: input.kind, height, width, channels, layout: preprocess.layout ?? 'NCHW', ...numeric } as const
}
