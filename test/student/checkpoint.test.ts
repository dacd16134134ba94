import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { readCheckpoint, readProgress, writeCheckpoint } from '../../src/student/checkpoint.js'
import type { Provenance } from '../../src/student/folder.js'
import { decodeSafetensors, encodeSafetensors } from '../../src/student/safetensors.js'
import { temporaryFolder } from '../helpers/folder.js'

const progress = { step: 3, loss: 1.5, weight: 2, history: [{ epoch: 1, loss: 0.5 }], best: null }
const provenance = { engine: 'eager' } as Provenance
const tensors = [{ name: 'model/0', shape: [2, 2], values: Float32Array.of(1, 2, 3, 4) }]

async function written() {
  const path = join(temporaryFolder(), 'checkpoint.safetensors')
  await writeCheckpoint(path, { progress, tensors }, provenance)
  return { path, bytes: readFileSync(path) }
}

test('a checkpoint is read as it was written', async () => {
  const { path } = await written()
  expect(await readCheckpoint(path)).toEqual({ progress, provenance, tensors })
  expect(await readProgress(path)).toEqual({ progress, provenance })
})

test('one of which a bit of a weight or of its progress is another is refused: training would go on from it', async () => {
  const { path, bytes } = await written()
  for (const at of [bytes.length - 2, bytes.indexOf('step') + 7]) {
    const damaged = Buffer.from(bytes)
    damaged[at]! ^= 1
    writeFileSync(path, damaged)
    await expect(readCheckpoint(path)).rejects.toThrow(
      /checkpoint.safetensors: damaged: it is not what its sha256 says/,
    )
  }
})

test('one of before, without a SHA-256, is gone on with', async () => {
  const { path, bytes } = await written()
  const { metadata } = decodeSafetensors(bytes, path)
  const { sha256: _, ...before } = metadata
  writeFileSync(path, encodeSafetensors(tensors, before))
  expect(await readCheckpoint(path)).toEqual({ progress, provenance, tensors })
})
