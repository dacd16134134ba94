import { expect, it } from 'vitest'
import { openEngine } from '../../src/engine/engine.js'
import { UnavailableError } from '../../src/errors.js'

const native = await import('@tensorflow/tfjs-node').then(
  () => true,
  () => false,
)

it.skipIf(native)('where tfjs-node cannot be loaded, says why and how to get it', async () => {
  const error = await openEngine('tensorflow').catch((e: unknown) => e)
  expect(error).toBeInstanceOf(UnavailableError)
  expect((error as Error).message).toMatch(/^engine tensorflow: .+(Get it with `npm .+`|Use Node 20 or 22)/)
  expect((error as Error).message).not.toContain('\n')
})

it('refuses a name that is no engine', async () => {
  await expect(openEngine('torch' as 'eager')).rejects.toThrow("engine 'torch': expected eager, tensorflow or onnx")
})
