import { execFileSync } from 'node:child_process'
import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest'
import { readJournal } from '../../src/cache/journal.js'
import { LOCK, takeLock } from '../../src/cache/lock.js'
import { buildProgram } from '../../src/cli/program.js'
import { DecantError } from '../../src/errors.js'
import { findModule } from '../../src/student/module.js'
import { readStudents } from '../../src/viewer/students.js'
import { makePlan, writeTargets } from '../cache/datasets.js'
import { temporaryFolder } from '../helpers/folder.js'
import { writeIdx } from '../helpers/idx.js'
import { writeLinearTeacher } from '../helpers/teachers.js'

beforeEach(() => {
  vi.spyOn(process.stdout, 'write').mockReturnValue(true)
})

/** Puts something in place of a file that nobody can read to its end: nobody ever writes into the pipe. */
const special = {
  'a named pipe': async (path: string) => void execFileSync('mkfifo', [path]),
  'a socket': async (path: string) => {
    const server = createServer()
    await new Promise<void>((resolve) => server.listen(path, resolve))
    onTestFinished(() => void server.close())
  },
  'a folder': async (path: string) => void mkdirSync(path),
}

const run = (...args: string[]) => buildProgram().parseAsync([...args, '--json'], { from: 'user' })

async function fixture() {
  const dir = temporaryFolder()
  const { images } = writeIdx(dir, { rows: 4, side: 4, classes: 7 })
  const teacher = join(dir, 'teacher.onnx')
  writeLinearTeacher(teacher, { side: 4, classes: 7 })
  const targets = join(dir, 'targets')
  mkdirSync(targets)
  await writeTargets(targets, makePlan({ rows: 8, rowsPerShard: 8, rowsPerBatch: 8, codec: 'f16' }))
  writeFileSync(join(dir, 'x.csv'), 'x\n1\n')
  const inputs = (source: string, ...flags: string[]) =>
    run('export', source, '--teacher', teacher, '--out', join(dir, 'out'), ...flags)
  return { dir, images, targets, inputs }
}
type Fixture = Awaited<ReturnType<typeof fixture>>

/** Of each input: the file that is none, and what reads it. */
const inputs: [string, (at: Fixture, path: string) => Promise<unknown>][] = [
  ...['arrow', 'csv', 'jsonl', 'npy', 'npz', 'parquet', 'tar', 'idx3-ubyte'].map((type): (typeof inputs)[number] => [
    `source.${type}`,
    ({ inputs }, path) => inputs(path),
  ]),
  ['teacher.onnx', ({ inputs, images }) => inputs(images)],
  ['labels', ({ inputs, images }, path) => inputs(images, '--labels', path)],
  ['classes.txt', ({ inputs, images }, path) => inputs(images, '--classes', path)],
  ['settings.json', ({ inputs, images }, path) => inputs(images, '--preprocess', path)],
  ['targets/manifest.json', ({ targets }) => run('inspect', targets)],
  ['targets/data/00000.arrow', ({ targets }) => run('convert', targets, '--codec', 'f32', '--out', `${targets}-2`)],
  ['targets/journal.jsonl', ({ targets }) => readJournal(targets)],
  ['ids.txt', ({ targets }, path) => run('select', targets, '--ids', path, '--out', `${targets}-2`)],
  ['student.ts', (_, path) => findModule(path)],
  ['sweep.json', ({ dir }) => run('report', dir)],
  ['plan.json', ({ dir }) => readStudents({ dir, kind: 'seeds' })],
]

const others = inputs.filter(([name]) => ['source.csv', 'teacher.onnx', 'targets/manifest.json'].includes(name))

describe.each([
  ['a named pipe', inputs],
  ['a socket', others],
  ['a folder', others],
] as const)('%s is refused at once, in one line, as', (what, inputs) => {
  it.each(inputs)('%s', async (name, read) => {
    const at = await fixture()
    const path = join(at.dir, name)
    rmSync(path, { force: true })
    await special[what](path)
    const error = await read(at, path).then(
      () => undefined,
      (error: unknown) => error,
    )
    expect(error).toBeInstanceOf(DecantError)
    const { message, exitCode } = error as DecantError
    expect(exitCode).toBe(2)
    expect(message).toContain(path)
    expect(message).not.toContain('\n')
    if (what !== 'a folder') expect(message).toMatch(`expected a file, found no regular file but ${what}`)
  })
})

it('an image that is a named pipe is refused by its name', async () => {
  const { dir, inputs } = await fixture()
  mkdirSync(join(dir, 'photos'))
  await special['a named pipe'](join(dir, 'photos', 'a.png'))
  await expect(inputs(join(dir, 'photos'))).rejects.toThrow(
    /a\.png: expected a file, found no regular file but a named pipe/,
  )
})

it('a lock that is a named pipe is no process, and is taken over', async () => {
  const { dir } = await fixture()
  await special['a named pipe'](join(dir, LOCK))
  await (await takeLock(dir))()
  expect(readdirSync(dir)).not.toContain(LOCK)
})
