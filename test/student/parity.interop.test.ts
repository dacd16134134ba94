import { beforeAll, describe, it } from 'vitest'
import { type Engine, openEngine } from '../../src/engine/engine.js'
import type { OptimizerConfig } from '../../src/student/optimizer.js'
import { hasPackage, runTorch } from '../helpers/python.js'
import { batch, domain, expectSameLosses, lossesOn, makeInputs, makeStep } from './parity.js'

const script = `
import json, sys, torch, torch.nn as nn, torch.nn.functional as F
job = json.load(sys.stdin)
weights = [torch.tensor(w["values"], dtype=torch.float32).reshape(w["shape"]) for w in job["weights"]]
class Flatten(nn.Module):
    def forward(self, x): return x.permute(0, 2, 3, 1).flatten(1)  # channels last, as tfjs has them
layers, flat = [], False
for kernel, bias in zip(weights[::2], weights[1::2]):
    if kernel.ndim == 4:
        layer = nn.Conv2d(kernel.shape[2], kernel.shape[3], 3, padding=1)
        layer.weight.data = kernel.permute(3, 2, 0, 1).contiguous()
        layers += [layer, nn.ReLU(), nn.MaxPool2d(2)]
    else:
        layer = nn.Linear(*kernel.shape)
        layer.weight.data = kernel.T.contiguous()
        layers += [nn.Identity() if flat else Flatten(), nn.ReLU() if flat else nn.Identity(), layer]
        flat = True
    layer.bias.data = bias
model = nn.Sequential(*layers)
optimizer = eval("torch.optim." + job["torch"])(model.parameters(), lr=1, **job["options"])
steps, batch, side, classes = job["steps"], job["batch"], job["side"], job["classes"]
pixels = torch.tensor(job["pixels"]).reshape(steps, batch, 1, side, side).float() * job["multiply"] + job["add"]
teacher = torch.tensor(job["logits"]).reshape(steps, batch, classes)
labels = torch.tensor(job["labels"]).reshape(steps, batch)
T, alpha, losses = 4.0, 0.7, []
for x, t, y, rate in zip(pixels, teacher, labels, job["rates"]):
    for group in optimizer.param_groups: group["lr"] = rate
    z = model(x)
    soft = T * T * F.kl_div(F.log_softmax(z / T, -1), F.log_softmax(t / T, -1), log_target=True, reduction="batchmean")
    loss = alpha * soft + (1 - alpha) * F.cross_entropy(z, y, ignore_index=-1)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    losses.append(loss.item())
print(json.dumps(losses))
`

let engine: Engine
beforeAll(async () => {
  engine = await openEngine('onnx', { threads: 2 })
})

const steps = 20
const optimizers: [OptimizerConfig, torch: string, options: object, rate: number][] = [
  [{ name: 'sgd', momentum: 0.9 }, 'SGD', { momentum: 0.9 }, 0.01],
  [{ name: 'adam' }, 'Adam', {}, 0.003],
]

const cases = ['mlp:32,16', 'cnn:16,32'].flatMap((student) =>
  optimizers.map(([optimizer, torch, options, rate]) => ({
    student,
    optimizer,
    torch,
    options,
    rate,
    labelled: 'all',
  })),
)
const [first] = cases

describe.skipIf(!hasPackage('torch'))(
  `${steps} steps have the losses of PyTorch from the same weights and batches`,
  () => {
    it.each([...cases, { ...first!, labelled: 'half' }])(
      '$student with $optimizer, $labelled of the rows with a label',
      async ({ student, optimizer, torch, options, rate, labelled }) => {
        const given = makeInputs(steps, { whole: true })
        given.learningRate = (given.learningRate as Float32Array).map((share) => share * rate)
        given.labels = (given.labels as Int32Array).map((label, i) => (labelled === 'half' && i % 2 === 0 ? -1 : label))
        const { model } = await makeStep(student, optimizer)
        const weights = model.getWeights().map((weight) => ({ shape: weight.shape, values: [...weight.dataSync()] }))
        const job = {
          ...{ weights, torch, options, steps, batch, side: domain.input.shape[0], classes: domain.classes },
          ...{
            multiply: domain.normalisation.multiply[0],
            add: domain.normalisation.add[0],
            rates: [...(given.learningRate as Float32Array)],
          },
          pixels: [...(given.pixels as Uint8Array)],
          logits: [...(given['teacher.logits'] as Float32Array)],
          labels: [...(given.labels as Int32Array)],
        }
        expectSameLosses(await lossesOn(engine, { student, optimizer, given }), await runTorch<number[]>(script, job))
      },
    )
  },
)
