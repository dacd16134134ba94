import { parentPort, workerData } from 'node:worker_threads'
import { openEngine } from '../engine/engine.js'
import { DecantError } from '../errors.js'
import type { FromWorker, SweepData, SweepEngine, ToWorker } from './sweep.js'
import { trainOnDataset } from './train.js'

// One worker of a sweep: it trains the students that it is sent, one after another, on data that all workers share and that comes first.
const spec = workerData as SweepEngine
let data: SweepData
const port = parentPort!
const abort = new AbortController()
const send = (message: FromWorker) => port.postMessage(message)

const engine = openEngine(spec.name, spec)
engine.catch(() => {}) // the first job tells of it

port.on('message', (message: ToWorker) => {
  if (message.type === 'abort') abort.abort()
  else if (message.type === 'data') data = message
  else void train(message)
})

async function train({ index, config, out }: Extract<ToWorker, { type: 'train' }>): Promise<void> {
  try {
    const student = await trainOnDataset({
      ...config,
      dataset: data.dataset,
      evaluation: data.evaluation,
      engine: await engine,
      out,
      signal: abort.signal,
      onEvent: (event) => send({ type: 'event', index, event }),
    })
    const { metrics, history, seconds } = student
    student.model.dispose()
    send({ type: 'done', index, metrics, history, seconds })
  } catch (error) {
    if (!(error instanceof DecantError)) throw error // a bug: it ends the worker, and the sweep with its stack
    send({ type: 'failed', index, name: error.name, message: error.message })
  }
}
