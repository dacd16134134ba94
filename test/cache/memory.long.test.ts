import { execFileSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { temporaryFolder } from '../helpers/folder.js'

const child = fileURLToPath(new URL('stream-child.ts', import.meta.url))
const peak = (rows: number) =>
  Number(
    execFileSync(process.execPath, ['--import', 'tsx', child, temporaryFolder(), String(rows)], { encoding: 'utf8' }),
  )

test('writing and reading ten times the rows takes no more memory', () => {
  // 100 MB and 1 GB of targets: with fewer the collector, which comes every 64 MB, has hardly been; when it comes is chance, so three of the short
  const some = Math.max(peak(50_000), peak(50_000), peak(50_000))
  expect(peak(500_000)).toBeLessThan(1.25 * some)
})
