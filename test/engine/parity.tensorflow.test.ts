import { describe, expect, it } from 'vitest'
import { useBackend } from '../../src/engine/eager.js'
import { openEngine } from '../../src/engine/engine.js'
import { expectSameTraining } from './onnx/same-training.js'

const missing = await openEngine('tensorflow').then(
  () => undefined,
  (error: Error) => error.message,
)
if (missing) console.warn(`SKIPPED: ${missing}`)

describe.skipIf(missing)(
  'with tfjs-node built, training gives the losses and weights of tfjs on its cpu backend',
  () => {
    it.each(
      (['tensorflow', 'onnx', 'eager'] as const).flatMap((engine) =>
        ['mlp', 'cnn'].flatMap((student) => ['momentum', 'adam'].map((optimizer) => ({ engine, student, optimizer }))),
      ),
    )('on $engine: 20 steps of $student with $optimizer', async ({ engine: name, student, optimizer }) => {
      const engine = await openEngine(name)
      await useBackend('cpu') // what it is compared with
      await expectSameTraining(engine, { student, optimizer, steps: 20, weights: true })
      await engine.dispose()
    })

    it('runs on the backend tensorflow', async () => {
      const engine = await openEngine('tensorflow')
      const program = await engine.compile(({ x }) => ({ y: x! }), { inputs: { x: { shape: [1], dtype: 'float32' } } })
      expect(program.backend).toBe('tensorflow')
    })
  },
)
