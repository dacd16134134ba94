import { beforeAll, describe, it } from 'vitest'
import { type Engine, type Inputs, openEngine } from '../../../src/engine/engine.js'
import type { Method } from '../../../src/student/method.js'
import { dist } from '../../../src/student/methods/dist.js'
import { dkd } from '../../../src/student/methods/dkd.js'
import { stdKd } from '../../../src/student/methods/std-kd.js'
import { hasPackage, runTorch } from '../../helpers/python.js'
import { batch, domain, expectSameLosses, lossesOn, makeInputs, makeStep, torchMlp } from '../parity.js'

const script = `${torchMlp}optimizer = torch.optim.SGD(model.parameters(), lr=1, momentum=0.9)
steps, batch, classes, T, alpha = job["steps"], job["batch"], job["classes"], job["temperature"], job["alpha"]
pixels = torch.tensor(job["pixels"]).reshape(steps, batch, -1).float() * job["multiply"] + job["add"]

def kl(log_p, log_q): return F.kl_div(log_q, log_p, log_target=True, reduction="batchmean")

def dkd(s, t, y):
    hot = F.one_hot(y, classes).bool()
    def parts(z):
        p = F.softmax(z / T, -1)[hot]
        others = z[~hot].reshape(batch, classes - 1)
        return torch.log(torch.stack([p, 1 - p], -1)), F.log_softmax(others / T, -1)
    (bt, ot), (bs, os) = parts(t), parts(s)
    return min((job["epoch"] + 1) / 20, 1) * T * T * (1 * kl(bt, bs) + 8 * kl(ot, os)) * alpha + F.cross_entropy(s, y)

def pearson(x, y):
    x, y = x - x.mean(-1, keepdim=True), y - y.mean(-1, keepdim=True)
    return F.cosine_similarity(x, y, -1).mean()

def dist(s, t, y):
    p, q = F.softmax(t / T, -1), F.softmax(s / T, -1)
    return F.cross_entropy(s, y) + alpha * (2 * (1 - pearson(q, p)) + 2 * (1 - pearson(q.T, p.T)))

def std_kd(s, t, y):
    z = lambda x: (x - x.mean(-1, keepdim=True)) / (1e-7 + x.std(-1, keepdim=True))
    return 0.1 * F.cross_entropy(s, y) + alpha * T * T * kl(F.log_softmax(z(t) / T, -1), F.log_softmax(z(s) / T, -1))

teacher = torch.tensor(job["logits"]).reshape(steps, batch, classes)
labels = torch.tensor(job["labels"]).reshape(steps, batch)
losses = []
for x, t, y, rate in zip(pixels, teacher, labels, job["rates"]):
    for group in optimizer.param_groups: group["lr"] = rate
    loss = {"dkd": dkd, "dist": dist, "std-kd": std_kd}[job["method"]](model(x), t, y)
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

const [steps, RATE] = [5, 0.01]
const cases: { method: Method; temperature: number }[] = [
  { method: dkd, temperature: 4 },
  { method: dist, temperature: 1 },
  { method: dist, temperature: 4 },
  { method: stdKd, temperature: 2 },
]

describe.skipIf(!hasPackage('torch'))(`${steps} whole steps have the losses of PyTorch from the formula`, () => {
  it.each(cases)('$method.name at T = $temperature', async ({ method, temperature }) => {
    const [student, optimizer, alpha, epoch] = ['mlp:32', { name: 'sgd', momentum: 0.9 } as const, 1.5, 2]
    const given: Inputs = {
      ...makeInputs(steps, { whole: true }),
      learningRate: new Float32Array(steps).fill(RATE),
      temperature: new Float32Array(steps).fill(temperature),
      alpha: new Float32Array(steps).fill(alpha),
      epoch: new Float32Array(steps).fill(epoch),
    }
    const { model } = await makeStep(student, optimizer, method)
    const weights = model.getWeights().map((weight) => ({ shape: weight.shape, values: [...weight.dataSync()] }))
    const losses = await runTorch<number[]>(script, {
      ...{ weights, steps, batch, temperature, alpha, epoch, method: method.name, classes: domain.classes },
      ...{
        multiply: domain.normalisation.multiply[0],
        add: domain.normalisation.add[0],
        rates: Array(steps).fill(RATE),
      },
      pixels: [...(given.pixels as Uint8Array)],
      logits: [...(given['teacher.logits'] as Float32Array)],
      labels: [...(given.labels as Int32Array)],
    })
    expectSameLosses(await lossesOn(engine, { student, optimizer, given, method }), losses)
  })
})
