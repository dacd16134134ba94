import * as tf from '@tensorflow/tfjs-core'
import { beforeAll, describe, expect, it } from 'vitest'
import { useBackend } from '../../src/engine/eager.js'
import { random } from '../../src/random.js'
import { createOptimizer, type OptimizerConfig } from '../../src/student/optimizer.js'
import { hasPackage, runTorch } from '../helpers/python.js'

const script = `
import json, sys, torch
job = json.load(sys.stdin)
p = torch.nn.Parameter(torch.tensor(job["start"]))
optimizer = eval("torch.optim." + job["torch"])
for gradient, rate in zip(job["gradients"], job["rates"]):
    for group in optimizer.param_groups:
        group["lr"] = rate
    p.grad = torch.tensor(gradient)
    optimizer.step()
print(json.dumps(p.tolist()))
`

const cases: [OptimizerConfig, string][] = [
  [{ name: 'sgd', momentum: 0 }, 'SGD([p], lr=1)'],
  [{ name: 'sgd', momentum: 0.9 }, 'SGD([p], lr=1, momentum=0.9)'],
  [{ name: 'sgd', momentum: 0.9, nesterov: true }, 'SGD([p], lr=1, momentum=0.9, nesterov=True)'],
  [
    { name: 'sgd', nesterov: true, weightDecay: 5e-2 },
    'SGD([p], lr=1, momentum=0.9, nesterov=True, weight_decay=5e-2)',
  ],
  [{ name: 'adam' }, 'Adam([p], lr=1)'],
  [{ name: 'adam', beta1: 0.8, beta2: 0.99, epsilon: 1e-4 }, 'Adam([p], lr=1, betas=(0.8, 0.99), eps=1e-4)'],
  [{ name: 'adamw', weightDecay: 0.05 }, 'AdamW([p], lr=1, weight_decay=0.05)'],
]

describe.skipIf(!hasPackage('torch'))('20 steps agree with torch.optim', () => {
  beforeAll(() => useBackend('wasm'))

  it.each(cases)('%j', async (config, torch) => {
    const { normal } = random('torch', torch)
    const numbers = (scale: number) => Array.from({ length: 12 }, () => Math.fround(normal() * scale))
    const start = numbers(1)
    const gradients = Array.from({ length: 20 }, (_, i) => numbers(10 ** -(i % 4)))
    const rates = gradients.map((_, i) => Math.fround(0.1 / (i + 1)))
    const rows = (values: number[]) => [values.slice(0, 4), values.slice(4, 8), values.slice(8)]
    const job = { start: rows(start), gradients: gradients.map(rows), rates, torch }
    const expected = await runTorch<number[][]>(script, job)

    const kernel = tf.variable(tf.tensor2d(start, [3, 4]))
    const optimizer = createOptimizer(config, [kernel])
    for (const [i, gradient] of gradients.entries())
      tf.tidy(() => optimizer.apply({ [kernel.name]: tf.tensor2d(gradient, [3, 4]) }, tf.scalar(rates[i]!)))
    const found = Array.from(kernel.dataSync())
    expect(found).toEqual(expected.flat().map((p: number) => expect.closeTo(p, 5)))
  })
})
