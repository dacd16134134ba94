import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { random } from '../../src/random.js'
import { temporaryFolder } from '../helpers/folder.js'
import { makePlan, readFolder, writeTargets } from './datasets.js'

const child = fileURLToPath(new URL('kill-child.ts', import.meta.url))

test('killed at operation after operation on its files, then resumed: byte-identical to an undisturbed export', async () => {
  const whole = temporaryFolder()
  await writeTargets(whole, makePlan())
  const dir = temporaryFolder()
  const { below } = random('kill')
  let kills = 0
  for (let done = false; !done; ) {
    // Early ones that hit the start of a resume, late ones that let it get somewhere.
    const exporter = spawn(
      process.execPath,
      ['--import', 'tsx', child, dir, String(1 + below(kills < 12 ? 24 : 100))],
      {
        stdio: 'inherit',
      },
    )
    const [code, signal] = await once(exporter, 'exit')
    if (signal === 'SIGKILL') kills++
    else expect(code).toBe(0)
    done = code === 0
  }
  expect(kills).toBeGreaterThanOrEqual(12)
  expect(await readFolder(dir)).toEqual(await readFolder(whole))
})
