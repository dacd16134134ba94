import { beforeAll, describe, expect, it } from 'vitest'
import { type Buckets, codecOf, targetColumns, targetKind } from '../../../src/cache/index.js'
import { type Engine, type Inputs, openEngine } from '../../../src/engine/engine.js'
import { random } from '../../../src/random.js'
import { rsKd } from '../../../src/student/methods/rs-kd.js'
import { inputOf } from '../../../src/student/targets.js'
import { hasPackage, runTorch } from '../../helpers/python.js'
import { batch, domain, expectSameLosses, lossesOn, makeInputs, makeStep, torchMlp } from '../parity.js'
import { logSoftmax } from './formulas.js'

// The paper's own loss in PyTorch: cross-entropy of the student's softmax over all classes with the sparse targets.
const script = `${torchMlp}optimizer = torch.optim.SGD(model.parameters(), lr=job["rate"], momentum=0.9)
steps, batch, k, T, alpha = job["steps"], job["batch"], job["k"], job["temperature"], job["alpha"]
pixels = torch.tensor(job["pixels"]).reshape(steps, batch, -1).float() * job["multiply"] + job["add"]
index, count, z = (torch.tensor(job[name]).reshape(steps, batch, k) for name in ["index", "count", "z"])
labels = torch.tensor(job["labels"]).reshape(steps, batch)
losses = []
for x, i, n, z, y in zip(pixels, index, count, z, labels):
    s = model(x)
    target = F.normalize(n * torch.exp(z.double() / T - z), p=1, dim=-1).float()
    soft = -(target * F.log_softmax(s / T, -1).gather(-1, i)).sum(-1).mean()
    loss = alpha * T * T * soft + (1 - alpha) * F.cross_entropy(s, y)
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

describe.skipIf(!hasPackage('torch'))("rs-kd has the losses of the paper's in PyTorch", () => {
  it.each([1, 2])('over five whole steps at T = %d, less what no student sees', async (temperature) => {
    const [steps, rate, alpha, codec] = [5, 0.01, 0.8, 'sampled:3'] as const
    const { classes } = domain
    const { 'teacher.logits': logits, ...others } = makeInputs(steps, { whole: true })
    const { uint32 } = random('rs-kd', 'interop')
    const encoded = codecOf(codec).encode({
      ...{ logits: logits as Float32Array, classes, labels: others.labels as Int32Array },
      keys: Uint32Array.from({ length: steps * batch }, uint32),
    })
    const columns = targetColumns({ codec, classes })
    const dataset = {
      ...domain,
      targets: {
        ...{ codec, classes },
        columns: columns.map(({ name, type, width }) => ({ name, dtype: type, width, values: encoded[name]! })),
      },
    }
    const given: Inputs = {
      ...others,
      ...Object.fromEntries(columns.map(({ name }) => [inputOf(name), encoded[name]!])),
      learningRate: new Float32Array(steps).fill(rate),
      temperature: new Float32Array(steps).fill(temperature),
      alpha: new Float32Array(steps).fill(alpha),
    }
    const { k, index, logits: z, count, logTail } = codecOf(codec).decode(encoded, targetKind({ classes })) as Buckets
    expect(Math.max(...count!)).toBeGreaterThan(1)
    const tail = logTail(temperature)
    /** α·T²·Σ w·log p, a mean over the rows of a step. */
    const known = Array.from({ length: steps }, (_, step) => {
      let sum = 0
      for (let row = step * batch; row < (step + 1) * batch; row++) {
        const own = [...z.subarray(row * k, (row + 1) * k)]
        const logP = logSoftmax([...own.map((x) => x / temperature), tail[row]!], 1)
        const raw = own.map((x, i) => count![row * k + i]! * Math.exp(x / temperature - x))
        const total = raw.reduce((a, b) => a + b)
        raw.forEach((w, i) => {
          sum += (alpha * temperature ** 2 * (w / total) * logP[i]!) / batch
        })
      }
      return sum
    })
    const [student, optimizer] = ['mlp:32', { name: 'sgd', momentum: 0.9 } as const]
    const { model } = await makeStep(student, optimizer, rsKd, dataset)
    const losses = await runTorch<number[]>(script, {
      ...{ steps, batch, k, rate, alpha, temperature },
      weights: model.getWeights().map((weight) => ({ shape: weight.shape, values: [...weight.dataSync()] })),
      ...{ multiply: domain.normalisation.multiply[0], add: domain.normalisation.add[0] },
      pixels: [...(given.pixels as Uint8Array)],
      ...{ index: [...index], count: [...count!], z: [...z], labels: [...(given.labels as Int32Array)] },
    })
    const found = await lossesOn(engine, { student, optimizer, given, method: rsKd, dataset })
    expectSameLosses(
      found.map((loss, i) => loss - known[i]!),
      losses,
    )
  })
})
