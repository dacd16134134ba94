import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { hashFolder, temporaryFolder, withoutTime } from '../helpers/folder.js'
import { writeIdx } from '../helpers/idx.js'
import { writeLinearTeacher } from '../helpers/teachers.js'

/** Mounts a file system of its own; undefined where the machine does not let us. */
function mountSmall(dir: string, size: string): { resize(size: string): void } | undefined {
  mkdirSync(dir)
  const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', `size=${size}`, 'tmpfs', dir], { encoding: 'utf8' })
  if (mounted.status !== 0) {
    console.warn(`SKIPPED: a really full disk needs the right to mount a tmpfs: ${mounted.stderr || mounted.error}`)
    return undefined
  }
  onTestFinished(() => void execFileSync('umount', [dir]))
  return { resize: (size) => void execFileSync('mount', ['-o', `remount,size=${size}`, dir]) }
}

describe('a disk that is really full', () => {
  it('is one line with exit code 2; no half shard stays, and with room the same command completes', (context) => {
    const dir = temporaryFolder()
    const disk = join(dir, 'disk')
    const small = mountSmall(disk, '256k')
    if (!small) return context.skip('mounting is not allowed here')

    const { images } = writeIdx(dir, { rows: 2000, side: 8, classes: 100 })
    writeLinearTeacher(join(dir, 'teacher.onnx'), { side: 8, classes: 100 })
    const run = (out: string, shardMb: string) => {
      const flags = ['--out', out, '--batch', '32', '--shard-mb', shardMb, '--provider', 'cpu']
      const command = ['--import', 'tsx', 'src/cli/main.ts', 'export', images]
      return spawnSync(process.execPath, [...command, '--teacher', join(dir, 'teacher.onnx'), ...flags], {
        encoding: 'utf8',
      })
    }
    const full = /^decant: .*\.arrow: the disk is full: free some space, .*$/m

    // The first shard does not fit: nothing stays.
    const out = join(disk, 'targets')
    const first = run(out, '1')
    expect(first.stderr).toMatch(full)
    expect(first.status).toBe(2)
    expect(existsSync(out)).toBe(false)

    // Some shards fit: they stay.
    const second = run(out, '0.05')
    expect(second.stderr).toMatch(full)
    expect(second.status).toBe(2)
    expect(readdirSync(out).sort()).toEqual(['data', 'journal.jsonl'])
    const shards = readdirSync(join(out, 'data'))
    expect(shards.length).toBeGreaterThan(0)
    expect(shards.every((name) => name.endsWith('.arrow'))).toBe(true)

    small.resize('8m')
    const third = run(out, '0.05')
    expect(third.status, third.stderr).toBe(0)
    expect(third.stderr).toContain(`going on after ${shards.length} finished shards`)
    expect(run(join(dir, 'roomy'), '0.05').status).toBe(0)
    expect(hashFolder(out, withoutTime)).toEqual(hashFolder(join(dir, 'roomy'), withoutTime))
  })
})
