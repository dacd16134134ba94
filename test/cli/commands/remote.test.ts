import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it, onTestFinished, vi } from 'vitest'
import { temporaryFolder } from '../../helpers/folder.js'
import { writeIdx } from '../../helpers/idx.js'
import { writeLinearTeacher } from '../../helpers/teachers.js'
import { serveDataset } from '../../share/dataset-server.js'
import { runCommand } from '../output.js'

it('reads datasets by their URI: inspect, verify, convert, train; the student says where it learned', async () => {
  const dir = temporaryFolder()
  const at = (name: string) => join(dir, name)
  const { images } = writeIdx(dir, { rows: 200, side: 4, classes: 10 })
  writeLinearTeacher(at('teacher.onnx'), { side: 4, classes: 10 })
  const made = ['export', images, '--teacher', at('teacher.onnx'), '--batch', '32', '--codec', 'f32', '--out']
  await runCommand(...made, at('with'), '--store-inputs')
  await runCommand(...made, at('without'))
  vi.stubEnv('DECANT_CACHE_DIR', at('cache'))
  onTestFinished(() => void vi.unstubAllEnvs())
  const [stored, bare] = await Promise.all([serveDataset(at('with')), serveDataset(at('without'))])
  onTestFinished(() => [stored, bare].forEach((served) => void served.close()))
  const sha256 = createHash('sha256')
    .update(readFileSync(at('with/manifest.json')))
    .digest('hex')
  const pinned = `${stored.url}#sha256=${sha256}`

  expect((await runCommand('inspect', pinned)).out).toContain(`${stored.url}: logits of 200 rows, 10 classes`)
  const verified = await runCommand('verify', pinned)
  expect(verified.out).toContain(`${pinned}: sound: 200 rows`)
  expect(verified.out).toContain(`not checked: ${stored.url}: whether it holds shards that the manifest does not list`)
  await runCommand('convert', pinned, '--codec', 'f16', '--out', at('f16'))
  expect((await runCommand('lineage', at('f16'))).out).toContain(
    `convert        {"codec":"f16"} of ${sha256.slice(0, 12)}`,
  )

  const flags = ['--student', 'linear', '--epochs', '1']
  await runCommand('train', pinned, ...flags, '--out', at('student'))
  expect((await runCommand('lineage', at('student/student.onnx'))).out).toMatch(
    new RegExp(`content [0-9a-f]{64}, ${stored.url}\n`),
  )

  // The manifest says where the samples were at the export; one from elsewhere does not make us open that here.
  await expect(runCommand('train', bare.url, ...flags)).rejects.toThrow(
    `${bare.url}: the samples are not stored in it: say with --source where they are here (at the export: '${images}')`,
  )
  await runCommand('train', bare.url, ...flags, '--source', images)
})
