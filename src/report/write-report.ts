import { join } from 'node:path'
import { replaceFile } from '../cache/files.js'
import { withLock } from '../cache/lock.js'
import type { SweepFile } from './read-sweep.js'
import { sweepPage } from './sweep-page.js'

/** Writes report.html into a sweep's folder; gives its path. @throws DecantError where another process writes to it */
export async function writeReport(dir: string, sweep: SweepFile): Promise<string> {
  const path = join(dir, 'report.html')
  await withLock(dir, () => replaceFile(path, sweepPage(sweep)))
  return path
}
