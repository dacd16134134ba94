/** Runs `work` with signals that SIGINT and SIGTERM raise: the first asks it to stop at the next safe place, the second kills the process at once. */
export async function interruptible<T>(work: (signal: AbortSignal) => Promise<T>, onFirst: () => void): Promise<T> {
  const controller = new AbortController()
  const ignore = () => {
    process.off('SIGINT', stop)
    process.off('SIGTERM', stop)
  }
  const stop = (name: NodeJS.Signals) => {
    if (controller.signal.aborted) {
      // The signal's own way out: process.exit would end threads inside ONNX Runtime, which aborts.
      ignore()
      process.kill(process.pid, name)
      return
    }
    controller.abort()
    onFirst()
  }
  process.on('SIGINT', stop)
  process.on('SIGTERM', stop)
  try {
    return await work(controller.signal)
  } finally {
    ignore()
  }
}
