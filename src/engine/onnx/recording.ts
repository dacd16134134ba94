import type * as tf from '@tensorflow/tfjs-core'
import { DecantError } from '../../errors.js'
import { placeOf } from '../user-frame.js'
import { Graph, type Value } from './ir.js'

/** A variable that a step reads or assigns. */
export interface RecordedVariable {
  variable: tf.Variable
  /** Its value when the step starts. */
  read: Value
  /** Of a variable that the step itself creates: what it starts from. */
  initial?: Value
  /** The tensor that it holds until it is assigned. */
  dataId: object
}

/** What one step of tfjs code does, as it is being recorded. */
export class Recording {
  readonly graph = new Graph()
  readonly variables = new Map<tf.Variable, RecordedVariable>()
  /** Tensors that were there before the step and that it uses: constants, to it. */
  readonly constants = new Map<object, Value>()

  /** With `inline`, variables that exist already are constants, too. */
  constructor(
    readonly existing: ReadonlySet<tf.Variable>,
    readonly inline: boolean,
  ) {}
}

/** tfjs draws random numbers in JavaScript, so that a recorded step would have the same ones at every run. */
export function refuseDrawn(): void {
  const { stack = '' } = new Error()
  // A variable's first value may be drawn.
  if (!/\b(random\w*|truncatedNormal)_/.test(stack) || /\b(addWeight|makeVariable)\b/.test(stack)) return
  throw new DecantError(
    `engine onnx: the step draws random numbers that would be the same at every run; draw them from a randomSource, ${placeOf()}`,
  )
}
