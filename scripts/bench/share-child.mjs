// One transfer of share.ts, in a process of its own: plain JavaScript, as a loader of TypeScript would start in each thread, too.
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { openSync, readdirSync, readSync } from 'node:fs'
import { cpus } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'

if (isMainThread) {
  const [compiled, operation, from, to] = process.argv.slice(2)
  const { pullTargets, pushTargets } = await import(pathToFileURL(join(compiled, 'share/index.js')).href)
  const threads = operation === 'hash' ? await startHashing(from) : []
  const before = process.cpuUsage()
  const began = performance.now()
  if (operation === 'push') await pushTargets(from, to)
  else if (operation === 'pull') await pullTargets(from, { dir: to })
  else await hashAll(threads)
  const seconds = (performance.now() - began) / 1000
  const { user, system } = process.cpuUsage(before)
  console.log(JSON.stringify({ seconds, cpu: (user + system) / 1e6, peakMb: process.resourceUsage().maxRSS / 1024 }))
  process.exit()
} else {
  parentPort.once('message', () => {
    const piece = Buffer.allocUnsafeSlow(2 ** 19)
    for (const path of workerData) {
      const [file, hash] = [openSync(path), createHash('sha256')]
      for (let read = -1; read !== 0; hash.update(piece.subarray(0, read))) read = readSync(file, piece)
      hash.digest()
    }
    parentPort.postMessage('done')
  })
  parentPort.postMessage('ready')
}

/** A thread a core, each with its share of the shards. */
async function startHashing(source) {
  const files = readdirSync(join(source, 'data')).map((name) => join(source, 'data', name))
  const threads = cpus().map((_, i, { length }) => {
    return new Worker(fileURLToPath(import.meta.url), { workerData: files.filter((_, k) => k % length === i) })
  })
  await Promise.all(threads.map((thread) => once(thread, 'message')))
  return threads
}

async function hashAll(threads) {
  for (const thread of threads) thread.postMessage('go')
  await Promise.all(threads.map((thread) => once(thread, 'message')))
}
