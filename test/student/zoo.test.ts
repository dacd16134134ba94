import { beforeAll, describe, expect, it } from 'vitest'
import { useBackend } from '../../src/engine/eager.js'
import { DecantError } from '../../src/errors.js'
import { buildStudent } from '../../src/student/student.js'
import { type StudentOptions, zooStudent } from '../../src/student/zoo.js'

const options: StudentOptions = {
  input: { kind: 'image', shape: [28, 28, 1] },
  inputShape: [28, 28, 1],
  positions: 1,
  classes: 10,
  seed: 1,
}
const shapesOf = async (specification: string) =>
  (await buildStudent(specification, options)).getWeights().map(({ shape }) => shape)

describe('zoo', () => {
  beforeAll(() => useBackend('cpu'))

  it.each([
    ['linear', [[784, 10], [10]]],
    ['mlp:128', [[784, 128], [128], [128, 10], [10]]],
    ['mlp:800,800', [[784, 800], [800], [800, 800], [800], [800, 10], [10]]],
    ['cnn:32,64', [[3, 3, 1, 32], [32], [3, 3, 32, 64], [64], [7 * 7 * 64, 10], [10]]],
  ])('%s has these weights', async (specification, shapes) => {
    expect(await shapesOf(specification)).toEqual(shapes)
  })

  it('draws kernels within the limit of Glorot and Bengio, and biases are 0', async () => {
    const [kernel, bias] = (await buildStudent('linear', options)).getWeights()
    const limit = Math.sqrt(6 / (784 + 10))
    const values = Array.from(kernel!.dataSync())
    expect(Math.max(...values.map(Math.abs))).toBeLessThanOrEqual(limit)
    const variance = values.reduce((sum, w) => sum + w * w, 0) / values.length
    expect(Math.abs(variance / (limit ** 2 / 3) - 1)).toBeLessThan(0.05)
    expect(Array.from(bias!.dataSync())).toEqual(Array(10).fill(0))
  })

  it('gives each layer a stream of its own: a layer more does not change the first', async () => {
    const first = async (form: string) => Array.from((await buildStudent(form, options)).getWeights()[0]!.dataSync())
    expect(await first('mlp:8,4')).toEqual(await first('mlp:8'))
  })

  it.each([
    'mlp',
    'mlp:',
    'mlp:a',
    'mlp:0',
    'mlp:8,-1',
    'linear:3',
    'resnet:18',
    'resnet:8,4,2',
    'mobilenet',
    'cnn',
    '',
    'constructor:3',
    'toString:1',
  ])("refuses '%s' and says what there is", (specification) => {
    expect(() => zooStudent(specification)).toThrow(DecantError)
    expect(() => zooStudent(specification)).toThrow(/linear, mlp:<units>,…/)
  })

  it.each([
    ['resnet:8,4', { layers: 8, stages: ['28,28,4', '14,14,8', '7,7,16'] }],
    ['resnet:14,4', { layers: 14, stages: ['28,28,4', '14,14,8', '7,7,16'] }],
    ['mobilenet:2', { layers: 14, stages: ['28,28,4', '14,14,8', '7,7,16'] }],
    ['cnn:3,5', { layers: 3, stages: ['14,14,3', '7,7,5'] }],
  ])('%s has stages by name, and as many layers with weights as its form says', async (form, { layers, stages }) => {
    const model = await buildStudent(form, options)
    const found = model.layers.filter(({ name }) => /^stage\d$/.test(name))
    expect(found.map(({ name }) => name)).toEqual(stages.map((_, i) => `stage${i + 1}`))
    expect(found.map(({ output }) => [output].flat()[0]!.shape.slice(1).join())).toEqual(stages)
    const weighted = model.layers.filter(
      ({ weights, name }) => weights.length > 0 && !/norm$/.test(name) && !/shortcut/.test(name),
    )
    expect(weighted).toHaveLength(layers)
  })

  it('refuses a depth of resnet that is not 6n + 2', async () => {
    await expect(buildStudent('resnet:9,4', options)).rejects.toThrow('expected a depth of 6n + 2: 8, 14, 20')
  })

  it('refuses more poolings than the image allows', async () => {
    await expect(buildStudent('cnn:1,1,1,1,1', options)).rejects.toThrow('5 poolings leave nothing of 28x28 images')
  })
})
