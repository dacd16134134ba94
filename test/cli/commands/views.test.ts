import { mkdir, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { temporaryFolder } from '../../helpers/folder.js'
import { writeIdx } from '../../helpers/idx.js'
import { writeLinearTeacher } from '../../helpers/teachers.js'
import { runCommand } from '../output.js'

async function example() {
  const dir = temporaryFolder()
  await mkdir(join(dir, 'source'))
  const { images } = writeIdx(join(dir, 'source'), { rows: 30, side: 5, classes: 3 })
  const teacher = join(dir, 'teacher.onnx')
  writeLinearTeacher(teacher, { side: 5, classes: 3 })
  const common = [images, '--teacher', teacher, '--provider', 'cpu', '--batch', '16', '--out', join(dir, 'targets')]
  return {
    dir,
    targets: join(dir, 'targets'),
    export: (...flags: string[]) => runCommand('export', ...common, ...flags),
  }
}

describe('views on the command line', () => {
  it('exports them with their inputs, shows what they are, and trains without the source', async () => {
    const { dir, targets, ...run } = await example()
    await run.export('--views', '4', '--augment', 'crop:1,flip', '--view-seed', '3', '--store-inputs')
    const { out } = await runCommand('inspect', targets)
    expect(out).toContain('logits of 120 rows, 3 classes')
    expect(out).toContain('  views      4 of each sample: crop:1,flip, seed 3\n')
    expect(out).toContain('  inputs     stored, image 5×5×1\n')
    const card = await readFile(join(targets, 'README.md'), 'utf8')
    expect(card).toContain('- `view_params` int32[3]: what made it: `crop.x, crop.y, flip.flipped`\n')
    expect(card).toContain('- `input`: what the teacher was given, image 5 × 5 × 1, before normalisation\n')
    await rm(join(dir, 'source'), { recursive: true })
    const trained = await runCommand('train', targets, '--student', 'mlp:4', '--epochs', '1', '--engine', 'eager')
    expect(trained.out).toMatch(/^mlp:4, /)
  })

  it.each([
    [['--views', '4'], /--views needs --augment/],
    [['--augment', 'flip'], /--augment needs --views/],
    [['--view-seed', '1'], /--view-seed needs --views/],
    [['--views', '4', '--augment', 'flip,mixup'], /'mixup' cannot be replayed: it mixes two samples/],
  ])('refuses %j with the reason', async (flags, reason) => {
    const run = await example()
    await expect(run.export(...flags)).rejects.toThrow(reason)
  })
})
