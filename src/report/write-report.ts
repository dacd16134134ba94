import { join } from 'node:path'
import { replaceFile } from '../cache/files.js'
import type { SweepFile } from './read-sweep.js'
import { sweepPage } from './sweep-page.js'

/** Writes report.html into a sweep's folder; gives its path. */
export async function writeReport(dir: string, sweep: SweepFile): Promise<string> {
  const path = join(dir, 'report.html')
  await replaceFile(path, sweepPage(sweep))
  return path
}
