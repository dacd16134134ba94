import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { encodeModel, fuseTeacher, readModel } from '../../src/onnx/index.js'
import { openDevice } from '../../src/teacher/device.js'
import { temporaryFolder } from '../helpers/folder.js'
import { type LinearTeacherOptions, writeLinearTeacher } from '../helpers/teachers.js'

const side = 32
const classes = 1000
const inputs = [{ name: 'pixels', dtype: 'uint8', shape: [side, side, 1] }] as const

async function open(extend?: LinearTeacherOptions['extend']) {
  const path = join(temporaryFolder(), 'teacher.onnx')
  writeLinearTeacher(path, { side, classes, ...(extend && { extend }) })
  const model = await readModel(path)
  const ones = Float32Array.of(1)
  const image = {
    kind: 'image',
    height: side,
    width: side,
    channels: 1,
    layout: 'NCHW',
    multiply: ones,
    add: ones,
  } as const
  const output = extend ? 'z' : 'logits'
  const { proto } = fuseTeacher(model.proto, { output, target: 'f32', front: image })
  return openDevice({
    teacher: 'teacher.onnx',
    provider: 'cpu',
    device: 0,
    model: encodeModel(proto),
    inputs,
  })
}

describe('a device', () => {
  it('ends only after what it is running: ended inside ONNX Runtime, a thread aborts the process', async () => {
    const device = await open()
    const rows = 2048
    const runs = [0, 1].map(() => device.run({ pixels: new Uint8Array(rows * side * side) }, rows))
    await device.close()
    expect((await Promise.all(runs)).map((output) => output.columns.logits!.length)).toEqual([
      rows * classes,
      rows * classes,
    ])
  })

  it('writes where its outputs were once they are given back, whatever the rows of a run', async () => {
    const device = await open()
    const run = (rows: number, pixel: number) =>
      device.run({ pixels: new Uint8Array(rows * side * side).fill(pixel) }, rows, 4)
    const expected = (await run(6, 7)).columns.logits!.slice()
    const first = await run(9, 3)
    device.takeBack(first)
    const second = await run(6, 7)
    expect(first.rowSum.length).toBe(0) // moved to the thread
    expect(second.columns.logits!.buffer.byteLength).toBeGreaterThan(9 * classes * 4)
    expect(second.columns.logits).toEqual(expected)
    const third = await run(20, 7)
    expect(third.columns.logits!.subarray(14 * classes)).toEqual(expected)
    expect(second.columns.logits).toEqual(expected) // not given back, not touched
    await device.close()
  })

  it('passes on what the runtime says of a run that fails, in one line', async () => {
    const device = await open((graph, logits) =>
      graph.output('z', 'float32', ['N', classes], graph.node('Reshape', [logits, graph.i64([7, classes])])),
    )
    const error: Error = await device.run({ pixels: new Uint8Array(side * side) }, 1).catch((error) => error)
    expect(error.message).toMatch(
      /^teacher\.onnx: the teacher failed on cpu:0: .*cannot be reshaped to the requested shape.*\S$/,
    )
    expect((await device.run({ pixels: new Uint8Array(7 * side * side) }, 7)).rows).toBe(7)
    await device.close()
  })

  it('passes on the words of a runtime that refuses the model', async () => {
    const broken = openDevice({
      teacher: 'package.json',
      provider: 'cpu',
      device: 0,
      model: readFileSync('package.json'),
      inputs,
    })
    await expect(broken).rejects.toThrow(/^provider cpu, device 0: .*protobuf/i)
  })
})
