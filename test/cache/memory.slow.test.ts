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
  const [some, many] = [peak(20_000), peak(200_000)] // 40 MB and 400 MB of targets
  expect(many).toBeLessThan(1.25 * some)
})
