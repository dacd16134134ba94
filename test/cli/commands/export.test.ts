import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { openTargets } from '../../../src/cache/index.js'
import { encodeModel, GraphBuilder } from '../../../src/onnx/index.js'
import { npy } from '../../source/files-of-rows.js'
import { pattern, plain, temporaryFolder } from '../../source/fixtures.js'
import { eventsOf, runCommand } from '../output.js'

const cpu = ['--provider', 'cpu', '--batch', '4', '--codec', 'f32']

describe('decant export', () => {
  test('takes files with columns: features of two of them, labels by name, ids', async () => {
    const dir = await temporaryFolder()
    for (const [file, rows] of [
      ['a.csv', '1,2,"no, no",x\n3,4,yes,y'],
      ['b.csv', '5,6,yes,z'],
    ] as const)
      await writeFile(join(dir, file), `p,q,label,key\n${rows}\n`)
    const graph = new GraphBuilder()
    const features = graph.input('features', 'float32', ['N', 2])
    const weights = graph.f32(Float32Array.of(1, 0, 0, 1), [2, 2])
    graph.output('logits', 'float32', ['N', 2], graph.node('MatMul', [features, weights]))
    await writeFile(join(dir, 'teacher.onnx'), encodeModel(graph.model({ name: 'identity' })))

    const columns = ['--input', 'p', '--input', 'q', '--label', 'label', '--id', 'key']
    const files = [join(dir, 'a.csv'), join(dir, 'b.csv')]
    const { err } = await runCommand(
      'export',
      ...files,
      ...columns,
      '--teacher',
      join(dir, 'teacher.onnx'),
      '--out',
      join(dir, 'targets'),
      ...cpu,
    )
    // the second column is the larger one in every row
    expect(err).toContain("teacher's accuracy 66.67 % on 3 labelled rows\n")
    const targets = await openTargets(join(dir, 'targets'))
    const all = await targets.load()
    expect([...all.logits]).toEqual([1, 2, 3, 4, 5, 6])
    expect([...all.labels]).toEqual([0, 1, 1])
    expect(all.ids()).toEqual(['x', 'y', 'z'])
    expect(targets.manifest).toMatchObject({
      names: ['no, no', 'yes'],
      source: { kind: 'csv', rows: 3, options: { files, input: ['p', 'q'], label: 'label', id: 'key' } },
    })
    await targets.close()
  })

  test('of arrays of images; a student learns from them, found again by the manifest', async () => {
    const dir = await temporaryFolder()
    const rows = 60
    await writeFile(join(dir, 'x.npy'), npy('|u1', [rows, 4, 4], pattern(rows * 16)))
    await writeFile(
      join(dir, 'y.npy'),
      npy(
        '<i4',
        [rows],
        Int32Array.from({ length: rows }, (_, i) => i % 2),
      ),
    )
    const graph = new GraphBuilder()
    const image = graph.input('image', 'float32', ['N', 1, 4, 4])
    const flat = graph.node('Reshape', [image, graph.i64([-1, 16])])
    const weights = graph.f32(
      Float32Array.from({ length: 32 }, (_, i) => (i % 5) - 2),
      [16, 2],
    )
    graph.output('logits', 'float32', ['N', 2], graph.node('MatMul', [flat, weights]))
    await writeFile(join(dir, 'teacher.onnx'), encodeModel(graph.model({ name: 'linear' })))

    const out = join(dir, 'targets')
    await runCommand(
      'export',
      join(dir, 'x.npy'),
      '--labels',
      join(dir, 'y.npy'),
      '--teacher',
      join(dir, 'teacher.onnx'),
      '--out',
      out,
      ...cpu,
    )
    const said = await runCommand(
      'train',
      out,
      '--student',
      'linear',
      '--epochs',
      '1',
      '--batch',
      '16',
      '--engine',
      'eager',
      '--json',
    )
    expect(eventsOf(said.out).at(-1)).toMatchObject({ type: 'trained', parameters: 34 })
  })

  test('warns, in a dry run, too, of a teacher whose classes have nothing to do with the labels', async () => {
    const dir = await temporaryFolder()
    const graph = new GraphBuilder()
    graph.output('logits', 'float32', ['N', 2], graph.node('Identity', [graph.input('features', 'float32', ['N', 2])]))
    await writeFile(join(dir, 'teacher.onnx'), encodeModel(graph.model({ name: 'identity' })))
    // of each two rows of a label one is of each class
    const rows = Array.from({ length: 400 }, (_, row) => `${3 * (row % 2)},${3 - 3 * (row % 2)},${(row >> 1) % 2}`)
    await writeFile(join(dir, 'rows.csv'), ['p,q,label', ...rows].join('\n'))
    const given = [join(dir, 'rows.csv'), '--input', 'p', '--input', 'q', '--label', 'label']
    const command = ['export', ...given, '--teacher', join(dir, 'teacher.onnx'), ...cpu]
    const { err } = await runCommand(...command, '--out', join(dir, 'targets'))
    expect(err).toContain(
      "teacher's accuracy 50.00 % on 400 labelled rows\nwarning: chance alone gives 50.00 %: the preprocessing, the order of the classes or the labels are not the teacher's\n",
    )
    const { out } = await runCommand(...command, '--dry-run')
    expect(out).toMatch(/\nteacher's accuracy 50\.00 % on \d+ labelled rows that were run\nwarning: chance/)
    const events = eventsOf((await runCommand(...command, '--json', '--out', join(dir, 'again'))).out)
    expect(events.find(({ type }) => type === 'accuracy')).toEqual({
      ...{ type: 'accuracy', resumed: false, labelled: 400, accuracy: 0.5, chance: 0.5, atChance: true },
    })
  })

  test('of a folder whose directories --classes maps to logits; train and verify find the same labels by the manifest', async () => {
    const dir = await temporaryFolder()
    // the order by name is another one, and there is no directory for 'owl'
    for (const [name, colour] of [
      ['ant', '#f00'],
      ['zebra', '#00f'],
    ] as const) {
      await mkdir(join(dir, 'photos', name), { recursive: true })
      for (let i = 0; i < 20; i++) await writeFile(join(dir, 'photos', name, `${i}.png`), await plain(2, 2, colour))
    }
    await writeFile(join(dir, 'names.txt'), 'zebra\nowl\nant\n')
    const graph = new GraphBuilder()
    const image = graph.input('image', 'float32', ['N', 3, 2, 2])
    const mean = graph.node('ReduceMean', [image, graph.i64([2, 3])], { keepdims: 0 })
    // logits of zebra, owl, ant: blue, green, red
    const weights = graph.f32(Float32Array.of(0, 0, 3, 0, 3, 0, 3, 0, 0), [3, 3])
    graph.output('logits', 'float32', ['N', 3], graph.node('MatMul', [mean, weights]))
    const teacher = join(dir, 'teacher.onnx')
    await writeFile(teacher, encodeModel(graph.model({ name: 'colours' })))

    const out = join(dir, 'targets')
    const photos = join(dir, 'photos')
    await expect(runCommand('export', photos, '--teacher', teacher, '--out', out, ...cpu)).rejects.toThrow(
      /2 class names for 3 logits .*: found in .*photos are 'ant', 'zebra'; say with --classes/,
    )
    await runCommand('export', photos, '--classes', join(dir, 'names.txt'), '--teacher', teacher, '--out', out, ...cpu)
    const targets = await openTargets(out)
    const { labels, logits } = await targets.load()
    expect([...labels]).toEqual([...Array(20).fill(2), ...Array(20).fill(0)])
    for (const [row, label] of labels.entries()) expect(logits[3 * row + label]).toBeCloseTo(3, 5)
    expect(targets.manifest).toMatchObject({
      names: ['zebra', 'owl', 'ant'],
      source: { options: { classes: { names: true } } },
    })
    await targets.close()

    const verified = await runCommand('verify', out, '--teacher', teacher)
    expect(verified.out).toMatch(/the same/)
    const trained = await runCommand(
      'train',
      out,
      '--student',
      'linear',
      '--eval',
      out,
      '--epochs',
      '30',
      '--lr',
      '0.05',
      '--batch',
      '8',
      '--engine',
      'eager',
      '--json',
    )
    expect(eventsOf(trained.out).at(-1)).toMatchObject({ type: 'trained', metrics: { accuracy: 1 } })
  })
})
