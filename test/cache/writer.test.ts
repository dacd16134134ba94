import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { type OutputFile, openFile } from '../../src/cache/files.js'
import { checkPlan, createTargets, openTargets, readPlan } from '../../src/cache/index.js'
import { DecantError, MismatchError } from '../../src/errors.js'
import { random } from '../../src/random.js'
import { temporaryFolder } from '../helpers/folder.js'
import { CREATED, exportRows, makePlan, makeRows, readFolder, writeTargets } from './datasets.js'

/** The folder that an undisturbed export of this plan gives. */
async function undisturbed(plan = makePlan()) {
  const dir = temporaryFolder()
  await writeTargets(dir, plan)
  return readFolder(dir)
}

async function begin(dir: string, plan = makePlan()) {
  const writer = await createTargets(dir, plan)
  await writer.beginShard(writer.finishedShards)
  return writer
}

test('a finished folder holds the manifest, the card with its plot and the shards, nothing else', async () => {
  const files = await undisturbed()
  expect([...files.keys()]).toEqual([
    'README.md',
    'data/00000.arrow',
    'data/00001.arrow',
    'data/00002.arrow',
    'manifest.json',
    'plot.svg',
  ])
})

test.each(['f32', 'f16'] as const)(
  'the bytes depend on the plan alone, however rows are grouped (%s)',
  async (codec) => {
    const plan = makePlan({ codec })
    const expected = await undisturbed(plan)
    for (const chunk of [1, 16, 33, 1000]) {
      const dir = temporaryFolder()
      await writeTargets(dir, plan, chunk)
      expect(await readFolder(dir)).toEqual(expected)
    }
  },
)

test('float16 logits with their shift, as the fused teacher gives them, are the same as raw ones encoded here', async () => {
  const plan = makePlan({ codec: 'f16', rows: 2, classes: 2 })
  const raw = temporaryFolder()
  const fused = temporaryFolder()
  const rows = { ...makeRows(plan, 0, 2), logits: Float32Array.of(1.5, 3, 7, 6) }
  for (const [dir, given] of [
    [raw, rows],
    [
      fused,
      {
        ...rows,
        logits: undefined,
        columns: { logits: Uint16Array.of(0xbe00, 0, 0, 0xbc00), shift: Float32Array.of(3, 7) },
      },
    ],
  ] as const) {
    const writer = await begin(dir, plan)
    await writer.append(given)
    await writer.endShard()
    await writer.finish({ created: CREATED })
  }
  expect(await readFolder(fused)).toEqual(await readFolder(raw))
})

test('every buffer starts at a multiple of 64 bytes in the file', async () => {
  const file = (await undisturbed()).get('data/00000.arrow')!
  const targets = Buffer.from(Float32Array.from(makeRows(makePlan(), 0, 16).logits).buffer)
  expect(file.indexOf(targets)).toBeGreaterThan(0)
  expect(file.indexOf(targets) % 64).toBe(0)
})

describe('resuming', () => {
  test('continues after the last whole shard and ends at the same bytes', async () => {
    const dir = temporaryFolder()
    const first = await begin(dir)
    await first.append(makeRows(makePlan(), 0, 40))
    await first.endShard()
    await first.beginShard(1)
    await first.append(makeRows(makePlan(), 40, 77))
    await first.close()
    const second = await createTargets(dir, makePlan())
    expect(second).toMatchObject({ done: false, finishedShards: 1 })
    await exportRows(second, makePlan())
    expect(await readFolder(dir)).toEqual(await undisturbed())
  })

  test('keeps the skipped rows of finished shards', async () => {
    const dir = temporaryFolder()
    const first = await begin(dir)
    await first.append({ ...makeRows(makePlan(), 1, 40), skipped: [{ id: 'row/0', reason: 'unreadable' }] })
    await first.endShard()
    await first.close()
    const manifest = await exportRows(await createTargets(dir, makePlan()), makePlan())
    expect(manifest.source.skipped).toEqual([{ id: 'row/0', reason: 'unreadable' }])
  })

  test.each([
    ['is damaged', async (path: string) => writeFile(path, (await readFile(path)).fill(1, 200, 201))],
    ['is cut short', async (path: string) => writeFile(path, (await readFile(path)).subarray(0, 500))],
    ['is gone', async (path: string) => rm(path)],
  ])('writes a shard again that %s, and those after it', async (_, damage) => {
    const dir = temporaryFolder()
    const first = await createTargets(dir, makePlan())
    for (const shard of [0, 1]) {
      await first.beginShard(shard)
      await first.append(makeRows(makePlan(), shard * 40, shard * 40 + 40))
      await first.endShard()
    }
    await first.close()
    await damage(join(dir, 'data/00001.arrow'))
    const second = await createTargets(dir, makePlan())
    expect(second.finishedShards).toBe(1)
    await exportRows(second, makePlan())
    expect(await readFolder(dir)).toEqual(await undisturbed())
  })

  test('drops a torn last line of the journal and whatever a dead process left', async () => {
    const dir = temporaryFolder()
    const first = await begin(dir)
    await first.append(makeRows(makePlan(), 0, 40))
    await first.endShard()
    await first.close()
    await writeFile(join(dir, 'journal.jsonl'), '{"shard":{"file":"data/000', { flag: 'a' })
    for (const name of ['data/00001.arrow', 'data/00001.arrow.tmp', 'manifest.json.tmp', 'lock.1.stale'])
      await writeFile(join(dir, name), 'x')
    // One more shard and one more death: what was torn must not come back between the lines.
    const second = await begin(dir)
    await second.append(makeRows(makePlan(), 40, 80))
    await second.endShard()
    await second.close()
    const third = await createTargets(dir, makePlan())
    expect(third.finishedShards).toBe(2)
    await exportRows(third, makePlan())
    expect(await readFolder(dir)).toEqual(await undisturbed())
  })

  test('a finished folder is done, also where the journal outlived the manifest by a moment', async () => {
    const dir = temporaryFolder()
    const unfinished = await begin(dir)
    const journal = await readFile(join(dir, 'journal.jsonl'))
    await unfinished.close()
    const manifest = await writeTargets(dir, makePlan())
    await writeFile(join(dir, 'journal.jsonl'), journal)
    const again = await createTargets(dir, makePlan())
    expect(again).toMatchObject({ done: true, finishedShards: 3 })
    expect(await again.finish({ created: '2030-01-01T00:00:00.000Z' })).toEqual(manifest)
    expect(await readFolder(dir)).toEqual(await undisturbed())
  })

  test('takes the same teacher and source from another place, in the words of the first run', async () => {
    const dir = temporaryFolder()
    await (await begin(dir)).close()
    const plan = makePlan()
    const moved = {
      ...plan,
      teacher: { ...plan.teacher, file: '/else/where.onnx' },
      source: { ...plan.source, uri: '../data' },
    }
    await writeTargets(dir, moved)
    expect(await readFolder(dir)).toEqual(await undisturbed())
  })

  test.each(['finished', 'unfinished'])(
    'is refused into a %s export of another plan, naming each key',
    async (state) => {
      const dir = temporaryFolder()
      if (state === 'finished') await writeTargets(dir, makePlan())
      else await (await begin(dir)).close()
      const before = await readFolder(dir)
      const plan = makePlan({ preprocess: { version: 1, mean: [0.4] } })
      plan.teacher.sha256 = 'f'.repeat(64)
      const error = await createTargets(dir, plan).catch((error) => error)
      expect(error).toBeInstanceOf(MismatchError)
      expect(error.differences).toEqual([
        `teacher.sha256: "${'a'.repeat(64)}" in the folder, "${'f'.repeat(64)}" now`,
        'preprocess.mean: [0.5] in the folder, [0.4] now',
        'preprocess.std: [0.25] in the folder, absent now',
      ])
      expect(await readFolder(dir)).toEqual(before)
    },
  )

  test('the plan of a folder can be read: finished, unfinished, none', async () => {
    const dir = temporaryFolder()
    expect(await readPlan(dir)).toBeUndefined()
    expect(await readPlan(join(dir, 'none'))).toBeUndefined()
    await (await begin(dir)).close()
    expect(await readPlan(dir)).toEqual(makePlan())
    await writeTargets(dir, makePlan())
    expect(await readPlan(dir)).toEqual(makePlan())
  })
})

describe('refused, with nothing written:', () => {
  test('a folder that holds something else', async () => {
    const dir = temporaryFolder()
    await writeFile(join(dir, 'thesis.tex'), 'x')
    await expect(createTargets(dir, makePlan())).rejects.toThrow(
      `${dir}: expected an empty folder or an export to continue, found 'thesis.tex'`,
    )
    expect(await readdir(dir)).toEqual(['thesis.tex'])
  })

  test('a file in place of the folder', async () => {
    const path = join(temporaryFolder(), 'file')
    await writeFile(path, 'x')
    await expect(createTargets(path, makePlan())).rejects.toThrow('expected a folder, found a file')
  })

  test('a place where no folder can be made: the system says why, in one line', async () => {
    const dir = join(temporaryFolder(), 'x'.repeat(300))
    const error = await createTargets(dir, makePlan()).catch((error) => error)
    expect(error).toBeInstanceOf(DecantError)
    expect(error.message).toMatch(/x: ENAMETOOLONG: .*$/)
  })

  test('a plan that makes no sense', async () => {
    const dir = join(temporaryFolder(), 'new')
    await expect(createTargets(dir, makePlan({ names: ['a'] }))).rejects.toThrow(
      'plan: names, one per class: expected 3, found 1',
    )
    await expect(createTargets(dir, makePlan({ classes: 0 }))).rejects.toThrow('plan: classes: ')
    await expect(readdir(dir)).rejects.toThrow('ENOENT')
  })

  test('a plan whose rows store more than a reader takes: of topk the classes that it keeps count', async () => {
    const dir = join(temporaryFolder(), 'new')
    const language = { positions: 4096, classes: 32_000, rows: 8 }
    await expect(createTargets(dir, makePlan({ ...language, codec: 'f16' }))).rejects.toThrow(
      "plan: 4096 positions of 32000 classes are 131072000 values a row in the column 'logits' of codec f16, expected at most 67108864",
    )
    await expect(readdir(dir)).rejects.toThrow('ENOENT')
    checkPlan(makePlan({ ...language, codec: 'topk:8' }))
    await expect(createTargets(dir, makePlan({ ...language, codec: 'topk:20000' }))).rejects.toThrow(
      "81920000 values a row in the column 'index' of codec topk:20000",
    )
  })

  test('a second export into the same folder, until the first has ended', async () => {
    const dir = temporaryFolder()
    const first = await begin(dir)
    await expect(createTargets(dir, makePlan())).rejects.toThrow(
      `${dir}: another decant command is writing here (process ${process.pid})`,
    )
    await first.close()
    await writeTargets(dir, makePlan())
  })

  test('a folder that another machine writes to', async () => {
    const dir = temporaryFolder()
    await writeFile(join(dir, 'lock'), JSON.stringify({ pid: 1, host: 'elsewhere', started: '1' }))
    await expect(createTargets(dir, makePlan())).rejects.toThrow('on elsewhere; if that has ended, delete')
  })
})

test.each([
  [
    'of a process that is dead',
    JSON.stringify({ pid: 2 ** 22 + 1, host: (await import('node:os')).hostname(), started: '' }),
  ],
  ['that was never written', ''],
])('a lock %s is taken over', async (_, lock) => {
  const dir = temporaryFolder()
  await writeFile(join(dir, 'lock'), lock)
  await writeTargets(dir, makePlan())
  expect(await readFolder(dir)).toEqual(await undisturbed())
})

describe('rows that cannot be are refused:', () => {
  const plan = makePlan()
  const rows = makeRows(plan, 0, 40)
  test.each([
    [
      'a label outside the classes',
      { ...rows, labels: rows.labels.map((label, i) => (i === 5 ? 3 : label)) },
      "row 'row/5': label 3, but the teacher has 3 classes",
    ],
    ['fewer labels than rows', { ...rows, labels: rows.labels.subarray(1) }, 'labels: expected 40, found 39'],
    [
      'logits of other classes',
      { ...rows, logits: new Float32Array(40 * 4) },
      'logits (40 rows of 3 classes): expected 120, found 160',
    ],
    [
      'float16 logits for codec f32',
      { ...rows, logits: undefined, columns: { logits: new Uint16Array(120) } },
      "column 'logits': expected float32 (Float32Array), found Uint16Array",
    ],
    [
      'a column that the plan does not have',
      { ...rows, columns: { shift: new Float32Array(40) } },
      "column 'shift', expected logits of codec f32",
    ],
    [
      'no logits at all',
      { ...rows, logits: undefined },
      "column 'logits': expected float32 (Float32Array), found none",
    ],
    [
      'an id that is too long',
      {
        ...rows,
        rows: 1,
        labels: new Int32Array(1),
        logits: new Float32Array(3),
        ids: { offsets: Int32Array.of(0, 2000), bytes: new Uint8Array(2000) },
      },
      'expected at most 1024 bytes, found 2000',
    ],
    [
      'fewer rows than the shard has',
      makeRows(plan, 0, 39),
      '00000.arrow: expected 40 rows of the source, skipped ones included, found 39',
    ],
  ])('%s', async (_, bad, message) => {
    const dir = temporaryFolder()
    const writer = await begin(dir)
    const write = async () => {
      await writer.append(bad)
      await writer.endShard()
    }
    await expect(write()).rejects.toThrow(message)
    expect(await readdir(join(dir, 'data'))).toEqual([])
    await exportRows(writer, plan)
    expect(await readFolder(dir)).toEqual(await undisturbed())
  })
})

test('a disk that fills up at any write: a clear error, no temporary file, and the next run completes', async () => {
  const expected = await undisturbed()
  const { below } = random('disk')
  for (let attempt = 0; attempt < 12; attempt++) {
    const dir = temporaryFolder()
    let left = below(9000)
    const open = async (path: string, flags: 'w' | 'a'): Promise<OutputFile> => {
      const file = await openFile(path, flags)
      return {
        sync: () => file.sync(),
        close: () => file.close(),
        // Like a real disk: takes what there is room for, then nothing.
        async writev(buffers) {
          const bytes = Buffer.concat(buffers)
          const fits = Math.min(bytes.length, left)
          left -= fits
          if (fits === 0)
            throw Object.assign(new Error('no space left on device'), { code: 'ENOSPC', syscall: 'write' })
          return file.writev([bytes.subarray(0, fits)])
        },
      }
    }
    const run = async () => {
      const writer = await createTargets(dir, makePlan(), { open })
      try {
        await exportRows(writer, makePlan())
      } finally {
        await writer.close()
      }
    }
    const error = await run().catch((error) => error)
    expect(error).toBeInstanceOf(DecantError)
    expect(error.message).toMatch(/^.*(arrow|jsonl|README\.md|manifest\.json): the disk is full: free some space/)
    expect([...(await readFolder(dir)).keys()].filter((name) => name.endsWith('.tmp') || name === 'lock')).toEqual([])
    await writeTargets(dir, makePlan())
    expect(await readFolder(dir)).toEqual(expected)
  }
})

describe('an export that fails before its first shard is finished', () => {
  const folderOf = (path: string) => readdir(path).then((names) => names.sort())

  test('takes back all that it wrote, the folders that it made too', async () => {
    const root = temporaryFolder()
    const writer = await begin(join(root, 'new/er'))
    await writer.append(makeRows(makePlan(), 0, 40))
    await writer.withdraw()
    expect(await folderOf(root)).toEqual([])
  })

  test('leaves a folder that was there, and what else has come into it', async () => {
    const root = temporaryFolder()
    await mkdir(join(root, 'empty'))
    await (await begin(join(root, 'empty'))).withdraw()
    expect(await folderOf(join(root, 'empty'))).toEqual([])
    const writer = await begin(join(root, 'new'))
    await writeFile(join(root, 'new/notes.txt'), 'mine')
    await writer.withdraw()
    expect(await folderOf(join(root, 'new'))).toEqual(['notes.txt'])
  })

  test('keeps finished shards, and what they need to be continued', async () => {
    const dir = join(temporaryFolder(), 'new')
    const writer = await begin(dir)
    await writer.append(makeRows(makePlan(), 0, 40))
    await writer.endShard()
    await writer.beginShard(1)
    await writer.withdraw()
    expect(await folderOf(dir)).toEqual(['data', 'journal.jsonl'])
    expect((await createTargets(dir, makePlan())).finishedShards).toBe(1)
  })

  test('leaves nothing where the disk has no room even for the journal', async () => {
    const root = temporaryFolder()
    const open = async (): Promise<never> => {
      throw Object.assign(new Error('no space left on device'), { code: 'ENOSPC', syscall: 'open' })
    }
    await expect(createTargets(join(root, 'a/b'), makePlan(), { open })).rejects.toThrow('the disk is full')
    expect(await folderOf(root)).toEqual([])
  })
})

test('an unfinished export is not a dataset yet, and a folder without one never was', async () => {
  const dir = temporaryFolder()
  await mkdir(join(dir, 'empty'))
  await expect(openTargets(join(dir, 'empty'))).rejects.toThrow('found a folder without manifest.json')
  await expect(openTargets(join(dir, 'none'))).rejects.toThrow('no such folder')
  await (await begin(join(dir, 'half'))).close()
  await expect(openTargets(join(dir, 'half'))).rejects.toThrow('this export has not finished')
})

test('more rows left out than a manifest can list are refused when they come, not at the end', async () => {
  const plan = makePlan({ rows: 3_000_000, rowsPerShard: 2_000_000 })
  const left = (n: number, reason: string) => Array.from({ length: n }, () => ({ id: 'a', reason }))
  const writer = await createTargets(join(temporaryFolder(), 'targets'), plan)
  for (const skipped of [left(1_000_001, ''), left(300_000, 'x'.repeat(1000))]) {
    await writer.beginShard(0)
    await expect(writer.append({ ...makeRows(plan, 0, 0), skipped })).rejects.toThrow(
      /the manifest cannot list more: \d+ rows left out/,
    )
  }
  await writer.beginShard(0)
  await writer.append({ ...makeRows(plan, 0, 5), skipped: left(200_000, 'unreadable') }) // in one call, too
  await writer.withdraw()
})
