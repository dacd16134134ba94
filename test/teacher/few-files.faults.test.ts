import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'
import { hashFolder, temporaryFolder, withoutTime } from '../helpers/folder.js'
import { writeIdx } from '../helpers/idx.js'
import { writeLinearTeacher } from '../helpers/teachers.js'

const child = fileURLToPath(new URL('few-files-child.ts', import.meta.url))

it('too many open files: one line with exit code 2, nothing half written; with files to spare the same command completes', () => {
  const dir = temporaryFolder()
  const { images } = writeIdx(dir, { rows: 2000, side: 8, classes: 100 })
  writeLinearTeacher(join(dir, 'teacher.onnx'), { side: 8, classes: 100 })
  const flags = ['--batch', '32', '--shard-mb', '0.05', '--provider', 'cpu', '--json']
  const command = ['export', images, '--teacher', join(dir, 'teacher.onnx'), ...flags]
  const node = (...args: string[]) => {
    const limited = ['-c', 'ulimit -n 256; exec "$@"', 'bash', process.execPath, '--import', 'tsx', ...args]
    return spawnSync('bash', limited, { encoding: 'utf8' })
  }
  let expected: ReturnType<typeof hashFolder> | undefined

  // At the start the source, the journal and the device's thread want files; after a shard the next ones, the journal and what comes last.
  const cases = [...[0, 1, 2, 4].map((free) => ['start', free]), ...[0, 1].map((free) => ['shard', free])] as const
  for (const [moment, free] of cases) {
    const [warm, out] = [join(dir, `warm-${moment}-${free}`), join(dir, `out-${moment}-${free}`)]
    const starved = node(child, `${moment}`, `${free}`, warm, out, ...command)
    const told = `${moment}, ${free} files: ${starved.stderr}`
    expect(starved.status, told).toBe(2)
    expect(starved.stderr.match(/^decant: .*$/gm), told).toEqual([expect.stringMatching(/raise the limit.*ulimit -n/)])
    const shards = existsSync(out) ? readdirSync(join(out, 'data')) : []
    if (moment === 'start') expect(existsSync(out), told).toBe(false)
    else expect(readdirSync(out).sort(), told).toEqual(['data', 'journal.jsonl'])
    // with one file shards can be written, but not the card, which reads several of them at once
    expect(shards, told).toEqual(shards.map((_, shard) => `0000${shard}.arrow`))

    const again = node('src/cli/main.ts', ...command, '--out', out)
    expect(again.status, again.stderr).toBe(0)
    if (moment === 'shard') expect(again.stdout).toContain(`"type":"resume","shards":${shards.length},`)
    expected ??= hashFolder(warm, withoutTime)
    expect(hashFolder(out, withoutTime)).toEqual(expected)
  }
})
