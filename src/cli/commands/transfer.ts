import type { TransferProgress } from '../../share/index.js'
import type { Terminal } from '../terminal.js'

/** The rate is that of the last seconds: what was there already counts at once, and would make it look fast. */
const WINDOW_MS = 5000

/** Progress of push and pull: bytes, rate and time left. */
export function showTransfer(terminal: Terminal, label: string): (progress: TransferProgress) => void {
  const seen: { at: number; bytes: number }[] = []
  return (progress) => {
    const at = performance.now()
    seen.push({ at, bytes: progress.bytes })
    while (seen.length > 2 && at - seen[0]!.at > WINDOW_MS) seen.shift()
    const [first] = seen
    const perSecond = at > first!.at ? Math.max(0, ((progress.bytes - first!.bytes) / (at - first!.at)) * 1000) : 0
    terminal.event({ type: 'progress', ...progress, perSecond: Math.round(perSecond) } as { type: string })
    terminal.progress(`${label} MB`, Math.round(progress.bytes / 1e6), Math.round(progress.totalBytes / 1e6), {
      unit: 'MB',
      perSecond: perSecond / 1e6,
    })
  }
}
