/** What ends a process: Ctrl-C, `kill`, a terminal that was closed. */
export const ENDING = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

let stopping = false
/** Whether work was asked to stop and has not ended. */
export const isStopping = (): boolean => stopping

/**
 * Runs `work` with a signal that these raise: the first asks it to stop at the next safe place, the second kills the process at once. Not so SIGHUP: of a
 * terminal that is closed it may come twice, from the shell and from the kernel.
 */
export async function interruptible<T>(work: (signal: AbortSignal) => Promise<T>, onFirst: () => void): Promise<T> {
  const controller = new AbortController()
  const ignore = () => {
    for (const each of ENDING) process.off(each, stop)
  }
  const stop = (name: NodeJS.Signals) => {
    if (controller.signal.aborted && name === 'SIGHUP') return
    if (controller.signal.aborted) {
      // The signal's own way out: process.exit would end threads inside ONNX Runtime, which aborts.
      ignore()
      process.kill(process.pid, name)
      return
    }
    stopping = true
    controller.abort()
    onFirst()
  }
  for (const each of ENDING) process.on(each, stop)
  try {
    return await work(controller.signal)
  } finally {
    stopping = false
    ignore()
  }
}
