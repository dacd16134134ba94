import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import { type Engine, openEngine } from '../../src/engine/engine.js'
import { MismatchError } from '../../src/errors.js'
import { decodeSafetensors, encodeSafetensors } from '../../src/student/safetensors.js'
import { type TrainDataOptions, type TrainEvent, trainOnDataset } from '../../src/student/train.js'
import { makeExample, temporaryFolder } from './fixtures.js'

// Students that an older decant began, whose provenance has no recipe.

let engine: Engine
beforeAll(async () => {
  engine = await openEngine('onnx', { threads: 1 })
})

const begin = (options: Pick<TrainDataOptions, 'dataset' | 'out'> & Partial<TrainDataOptions>) =>
  trainOnDataset({ engine, student: 'linear', epochs: 2, batch: 8, ...options })

async function finished(dataset: TrainDataOptions['dataset']): Promise<string> {
  const out = await temporaryFolder()
  await begin({ dataset, out })
  const path = join(out, 'student.json')
  const summary = JSON.parse(await readFile(path, 'utf8'))
  expect(summary.provenance.recipe).toBe(2)
  delete summary.provenance.recipe
  await writeFile(path, JSON.stringify(summary))
  return out
}

async function interrupted(dataset: TrainDataOptions['dataset']): Promise<string> {
  const out = await temporaryFolder()
  await expect(begin({ dataset, out, signal: AbortSignal.abort() })).rejects.toThrow('stopped after step 1')
  const path = join(out, 'checkpoint.safetensors')
  const { tensors, metadata } = decodeSafetensors(await readFile(path), path)
  const { sha256: _, ...older } = metadata
  const { recipe, ...provenance } = JSON.parse(metadata.provenance!)
  expect(recipe).toBe(2)
  await writeFile(path, encodeSafetensors(tensors, { ...older, provenance: JSON.stringify(provenance) }))
  return out
}

describe.each([
  ['finished', finished],
  ['half trained', interrupted],
])('a %s student of recipe 1', (_, make) => {
  it('is gone on with where every row has a label, which both recipes take alike', async () => {
    const { dataset } = await makeExample(24)
    const out = await make(dataset)
    const events: TrainEvent[] = []
    const { provenance } = await begin({ dataset, out, onEvent: (event) => events.push(event) })
    expect(provenance).not.toHaveProperty('recipe')
    expect(events.map(({ type }) => type)).toContain(make === finished ? 'finished' : 'resume')
  })

  it('is refused where some rows have none, whose cross-entropy counted as 0 in its mean', async () => {
    const { dataset } = await makeExample(24, { unlabelled: 3 })
    const out = await make(dataset)
    const error = await begin({ dataset, out }).catch((error: unknown) => error)
    expect(error).toBeInstanceOf(MismatchError)
    expect((error as Error).message).toMatch(/that an older decant began:\n.*recipe: 1, .* train it anew/)
  })
})
