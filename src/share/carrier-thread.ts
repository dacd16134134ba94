import { parentPort, workerData } from 'node:worker_threads'
import type { FromThread, Job, ToThread } from './carrier.js'
import { fetchFile, isWhole } from './fetch-file.js'
import { fileContent } from './file-content.js'
import type { Transfer } from './store.js'
import { openStore, type Place } from './uri.js'

// One thread of a Carrier.

const { place, idleMs } = workerData as { place: Place; idleMs: number | undefined }
const store = openStore(place, idleMs === undefined ? {} : { idleMs })
const running = new Map<number, AbortController>()
const tell = (message: FromThread) => parentPort!.postMessage(message)

/** Counts are told this often, not at every piece. */
const TELL_MS = 50

async function run(job: Job, transfer: Transfer): Promise<unknown> {
  switch (job.kind) {
    case 'fetch':
      return fetchFile(await store, job.wanted, job.path, transfer)
    case 'write':
      return (await store).write(job.name, fileContent(job.path, job.wanted), transfer)
    case 'check':
      return isWhole(job.path, job.wanted, transfer.signal)
  }
}

parentPort!.on('message', async (message: ToThread) => {
  const { id } = message
  if ('abort' in message) {
    running.get(id)?.abort()
    return
  }
  const controller = new AbortController()
  running.set(id, controller)
  let [bytes, told] = [0, performance.now()]
  const flush = () => {
    if (bytes !== 0) tell({ id, bytes })
    bytes = 0
    told = performance.now()
  }
  const onBytes = (count: number) => {
    bytes += count
    if (performance.now() - told > TELL_MS) flush()
  }
  try {
    const done = await run(message.job, { signal: controller.signal, onBytes })
    flush()
    tell({ id, done })
  } catch (error) {
    flush()
    const { name, message, stack } = error as Error
    tell({ id, failed: { name, message, stack } })
  } finally {
    running.delete(id)
  }
})
