import { openFile } from '../../src/cache/files.js'
import { createTargets } from '../../src/cache/index.js'
import { exportRows, makePlan } from './datasets.js'

// An export that kills itself (kill -9: nothing is cleaned up, nothing flushed) at its n-th operation on files:
// node --import tsx kill-child.ts DIR N. What happens between two operations, renames above all, is thus passed on both sides.
const [dir, last] = [process.argv[2]!, Number(process.argv[3])]
let operations = 0
async function step<T>(operation: () => Promise<T>): Promise<T> {
  if (++operations === last) process.kill(process.pid, 'SIGKILL')
  return operation()
}

const writer = await createTargets(dir, makePlan(), {
  open: async (path, flags) => {
    const file = await step(() => openFile(path, flags))
    return {
      sync: () => step(() => file.sync()),
      close: () => step(() => file.close()),
      // A long write is cut in two, as a crash may cut it.
      writev: (buffers) =>
        step(() => {
          const bytes = Buffer.concat(buffers)
          return file.writev([bytes.length > 500 ? bytes.subarray(0, bytes.length - 300) : bytes])
        }),
    }
  },
})
await exportRows(writer, makePlan())
