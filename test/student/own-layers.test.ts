import * as tf from '@tensorflow/tfjs-core'
import { layers } from '@tensorflow/tfjs-layers'
import { beforeAll, describe, expect, it } from 'vitest'
import { type Engine, openEngine } from '../../src/engine/engine.js'
import { loadStudent } from '../../src/student/save.js'
import type { TrainEvent } from '../../src/student/train.js'
import { temporaryFolder } from './fixtures.js'
import { row, tinyStudent } from './tiny-students.js'
import { trainTiny } from './train-tiny.js'

let engine: Engine
beforeAll(async () => {
  engine = await openEngine('onnx', { threads: 1 })
})

/** x + what `shift` says of it. */
class Shifted extends layers.Layer {
  static className = 'Shifted'
  readonly shift: (x: tf.Tensor) => tf.Tensor
  constructor({ shift = tf.square }: { shift?: (x: tf.Tensor) => tf.Tensor }) {
    super({})
    this.shift = shift
  }
  override computeOutputShape(shape: (number | null)[]) {
    return shape
  }
  override call(inputs: tf.Tensor | tf.Tensor[]) {
    const [x] = [inputs].flat() as [tf.Tensor]
    return tf.add(x, this.shift(x))
  }
}

/** A layer that nothing can be made of but a student. */
class Needy extends Shifted {
  static override className = 'Needy'
  constructor({ shift }: { shift?: (x: tf.Tensor) => tf.Tensor }) {
    if (!shift) throw new Error('no shift')
    super({ shift })
  }
}

const dense = () => layers.dense({ units: 4 })
const student = (name: string, layer: () => layers.Layer) =>
  tinyStudent({ name, input: row, parts: () => [dense(), layer()] })

describe("a student with layers of one's own", () => {
  it('that no registry of tfjs knows is trained, and found again where it is finished', async () => {
    const own = student('unknown', () => new Shifted({}))
    const out = await temporaryFolder()
    const events: TrainEvent[] = []
    const train = () => trainTiny(own, { engine, out, onEvent: (event) => events.push(event) })
    const first = await train()
    expect(events.filter(({ type }) => type === 'warning')).toEqual([])
    const again = await train()
    expect(events.at(-1)).toEqual({ type: 'finished', out })
    expect(again.weights).toEqual(first.weights)
    await expect(loadStudent(out)).rejects.toThrow('model.json: Shifted is no layer of tfjs: register it before')
  })

  it('that no registry of tfjs knows is gone on with where it was stopped, to the same bits', async () => {
    const own = student('unknown', () => new Shifted({}))
    const [whole, out] = [await temporaryFolder(), await temporaryFolder()]
    const expected = await trainTiny(own, { engine, out: whole })
    const stopped = trainTiny(own, { engine, out, checkpointEvery: 1, signal: AbortSignal.abort() })
    await expect(stopped).rejects.toThrow('stopped after step 1 of 3')
    const events: string[] = []
    const found = await trainTiny(own, { engine, out, onEvent: ({ type }) => events.push(type) })
    expect(events).toContain('resume')
    expect(found.weights).toEqual(expected.weights)
  })

  it('of which model.json does not say enough is trained, and it is told', async () => {
    const own = student('needy', () => new Needy({ shift: tf.sigmoid }))
    const events: TrainEvent[] = []
    await trainTiny(own, { engine, out: await temporaryFolder(), onEvent: (event) => events.push(event) })
    const message = expect.stringMatching(/tfjs will not load model.json again: no shift/)
    expect(events).toContainEqual({ type: 'warning', message })
  })

  it.each([
    [
      'another student for another batch',
      ({ shape }: tf.Tensor) => tf.expandDims(tf.range(0, shape[0]!, 1), 1),
      'depends on the batch size in a way that has no form for any size',
    ],
    ['another layer once it is loaded', tf.neg, 'model.json, once loaded: its logits are off by'],
  ])('that make it %s are refused before the first step', async (_, shift, message) => {
    const events: string[] = []
    const onEvent = ({ type }: TrainEvent) => events.push(type)
    const refused = student('refused', () => new Shifted({ shift }))
    await expect(trainTiny(refused, { engine, out: await temporaryFolder(), onEvent })).rejects.toThrow(message)
    expect(events).toEqual(['start'])
  })
})
