import { basename } from 'node:path'
import type { InferenceSession } from 'onnxruntime-node'
import type { Plan } from '../cache/index.js'
import { DecantError } from '../errors.js'
import {
  type ClassLabel,
  describeModel,
  type EditedModel,
  type FixedBatch,
  type FoundOutput,
  findClassLabels,
  findLabelOutputs,
  findMixing,
  findPadding,
  findVocabulary,
  fuseTeacher,
  type LabelOutput,
  type Mixing,
  openOutput,
  opsetOfTarget,
  printValueInfo,
  type Reading,
  readLabels,
  readModel,
  sessionSource,
} from '../onnx/index.js'
import { affine, type Source } from '../source/index.js'
import { choosePadding, type Padding } from './choose-padding.js'
import { areInPlace } from './match-classes.js'
import type { FeedSpec } from './run-rows.js'
import { feedsOf, type TargetOf, targetOf } from './target.js'

export interface TeacherOptions {
  /** Path of the ONNX classifier. */
  teacher: string
  source: Pick<Source, 'input' | 'uri' | 'pad' | 'preprocess'>
  /** Name of the logits output, where the model has several candidates. */
  output?: string
  /** Of an export that is run again: the id that the teacher was fed at padding. Default: chosen, see choosePadding. */
  pad?: number
  /** The user says what the output's values are. */
  told?: boolean
}

/** A teacher whose output is found. */
export interface LoadedTeacher {
  /** of the model's file, as the manifest records it */
  sha256: string
  output: FoundOutput
  /** What it is fed where a row of tokens has none; undefined where it takes them as they are, and other inputs. */
  padding: Padding | undefined
  /** Of tokens: how many ids its graph knows, where that shows; they are 0 to vocabulary - 1. */
  vocabulary: number | undefined
  /** As its file names the classes, in the order of the logits. */
  classLabels: ClassLabel[] | undefined
  /** An output that gives each row's class, and the graph that gives it; undefined where the model has none. */
  label(): { label: LabelOutput; fused: FusedModel } | undefined
  /** Its inputs as it declares them. */
  takes: string
  /** L, where it gives values for each of L positions of a sequence. */
  positions: number | undefined
  /** Where its graph shows that a row's values may depend on more than the row. */
  mixing(): Mixing
  /** Its graph with the source's data in front, and the output's values as they are behind; the same each time. */
  values(): FusedModel
  /** The teacher with its logits read in one way. */
  read(reading: Reading): ReadyTeacher
}

/** A teacher whose logits are found. */
export interface ReadyTeacher {
  /** The same with its two columns exchanged. */
  swap(): ReadyTeacher
  /** Its graph with the source's data in front and what a codec keeps behind. */
  fuse(kind: TargetOf, options?: { inGraph: boolean }): FusedModel
  /** L, where it gives logits for each of L positions of a sequence. */
  positions: number | undefined
  precision: 'float32' | 'float16'
  /** of the model's file and of those that its weights lie in */
  bytes: number
  /** As the manifest records it. */
  origin: Pick<
    Plan['teacher'],
    'file' | 'sha256' | 'opset' | 'output' | 'logits' | 'floor' | 'classLabels' | 'swapped' | 'producer'
  >
}

export interface FusedModel {
  /** What it is fed: the source's data first. */
  inputs: readonly FeedSpec[]
  model: Uint8Array | string
  sessionOptions: InferenceSession.SessionOptions
  /** Rows of each call, where it takes no other number. */
  fixedBatch?: FixedBatch | undefined
  /** What the device's worker makes of raw logits, where the graph does not. */
  encode?: TargetOf
}

/**
 * Reads a teacher and finds its output. Throws FormatError (not an ONNX model), DecantError (several candidates for the logits);
 * `fuse` throws DecantError where its inputs do not fit the source.
 */
export async function loadTeacher(options: TeacherOptions): Promise<LoadedTeacher> {
  const { source, output: name, told = false } = options
  const { input } = source
  const model = await readModel(options.teacher)
  const description = describeModel(model)
  const output = openOutput(model, {
    tokens: input.kind === 'tokens',
    told,
    ...(name !== undefined && { output: name }),
  })
  const { positions: byPosition } = output
  // one position is an ordinary row
  const positions = byPosition && input.shape[0]! > 1 ? input.shape[0] : undefined
  const { padding, vocabulary } = naming(options.teacher, () => {
    if (input.kind !== 'tokens') return {}
    const { proto } = output.values()
    const [ids, vocabulary] = [findPadding(proto), findVocabulary(proto)]
    const wishes = { source, exported: options.pad, vocabulary }
    return { padding: ids && choosePadding(ids, wishes), vocabulary }
  })
  const front = frontOf(source, padding)
  const data: FeedSpec = { name: feedNames[input.kind], dtype: input.dtype, shape: input.shape }
  const fuse = (edited: EditedModel, kind: TargetOf, { inGraph: wish } = { inGraph: true }): FusedModel => {
    const wanted = targetOf(kind)
    // an older graph gives raw logits, and the worker encodes them
    const inGraph = wish && wanted && description.opset >= opsetOfTarget(wanted)
    const target = inGraph ? wanted : 'f32'
    const fused = naming(options.teacher, () =>
      fuseTeacher(edited.proto, { output: edited.output, positions: byPosition, target, front }),
    )
    const feeds = feedsOf(kind)
    const session = sessionSource(model, fused.proto)
    return {
      inputs: [data, ...fused.inputs.slice(1).map(({ name }) => feeds[name]!)],
      model: session.model,
      sessionOptions: session.options,
      fixedBatch: fused.fixedBatch,
      ...(wanted !== target && { encode: kind }),
    }
  }
  const graph = model.proto.graph!
  const classLabels = findClassLabels(graph, output.from)
  const label = () => {
    // the class of each position is not looked at; a batch that is fixed is opened for the logits alone
    const isOpen = description.inputs.every(({ shape }) => typeof shape?.[0] !== 'number')
    const [found] = byPosition || !isOpen ? [] : findLabelOutputs(graph, output.from)
    return found && { label: found, fused: fuse(readLabels(model.proto, found), rawValues) }
  }
  let values: FusedModel | undefined
  return {
    sha256: model.sha256,
    output,
    padding,
    vocabulary,
    classLabels,
    label,
    takes: description.inputs.map(printValueInfo).join(', '),
    positions,
    mixing: () => findMixing(output.values().proto),
    values: () => {
      values ??= fuse(output.values(), rawValues)
      return values
    },
    read,
  }

  function read(reading: Reading): ReadyTeacher {
    const edited = naming(options.teacher, () => output.read(reading))
    return {
      swap: () => read({ ...reading, swapped: true }),
      fuse: (kind, options) => fuse(edited, kind, options),
      positions,
      precision: description.inputs.some(({ dtype }) => dtype === 'float16') ? 'float16' : 'float32',
      bytes: model.bytes,
      origin: {
        file: basename(options.teacher),
        sha256: model.sha256,
        opset: description.opset,
        output: output.from,
        logits: reading.kind,
        ...(reading.floor !== undefined && { floor: reading.floor }),
        ...(classLabels && !areInPlace(classLabels) && { classLabels }),
        ...(reading.swapped && { swapped: true }),
        producer: description.producer,
      },
    }
  }
}

/** All that a graph gives, before it is known of how many classes it is. */
export const rawValues: TargetOf = { codec: 'f32', classes: 0 }

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
function frontOf({ input, preprocess = { version: 1 } }: Pick<Source, 'input' | 'preprocess'>, padding?: Padding) {
  if (input.kind === 'tokens')
    return { kind: input.kind, length: input.shape[0], ...(padding && { pad: padding.id, side: padding.side }) }
  if (input.kind === 'features') return { kind: input.kind, shape: input.shape }
  const [height, width, channels] = input.shape
  const numeric = affine(preprocess, channels)
  return { kind: input.kind, height, width, channels, layout: preprocess.layout ?? 'NCHW', ...numeric } as const
}
