import { existsSync, mkdirSync, readdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import sharp from 'sharp'
import { beforeEach, describe, expect, it, vi } from 'vitest'
import { buildProgram } from '../../src/cli/program.js'
import { DecantError } from '../../src/errors.js'
import { temporaryFolder } from '../helpers/folder.js'
import { writeIdx } from '../helpers/idx.js'
import { writeLinearTeacher } from '../helpers/teachers.js'

beforeEach(() => {
  vi.spyOn(process.stdout, 'write').mockReturnValue(true)
})

/** Runs a command as the shell would and gives the error that it ends with. */
async function failureOf(...args: string[]): Promise<DecantError> {
  const error = await buildProgram()
    .parseAsync([...args, '--json'], { from: 'user' })
    .then(
      () => undefined,
      (error: unknown) => error,
    )
  expect(error).toBeInstanceOf(DecantError)
  return error as DecantError
}

function fixture() {
  const dir = temporaryFolder()
  const { images } = writeIdx(dir, { rows: 100, side: 4, classes: 7 })
  const teacher = join(dir, 'teacher.onnx')
  writeLinearTeacher(teacher, { side: 4, classes: 7 })
  return { dir, images, teacher, out: join(dir, 'targets') }
}
type Fixture = ReturnType<typeof fixture>

/** What is wrong, how it comes about, and what the one line says. */
const cases: [string, (at: Fixture) => unknown, RegExp][] = [
  [
    'not an ONNX file',
    ({ teacher }) => void writeFileSync(teacher, '\x89PNG\r\n\x1a\n but no more'),
    /teacher\.onnx: not an ONNX file/,
  ],
  ['a truncated ONNX file', ({ teacher }) => truncateSync(teacher, 200), /teacher\.onnx: .*(truncated|ends)/],
  [
    'two candidates for the logits',
    ({ teacher }) => {
      writeLinearTeacher(teacher, {
        side: 4,
        classes: 7,
        extend: (graph, logits) => {
          graph.output('coarse', 'float32', ['N', 7], graph.node('Neg', [logits]))
          graph.output('fine', 'float32', ['N', 7], graph.node('Abs', [logits]))
        },
      })
      return undefined
    },
    /coarse.*fine.*--output/,
  ],
  ['an output that is not there', () => ['--output', 'nope'], /nope.*logits/],
  [
    'labels that the teacher does not have',
    ({ teacher }) => {
      writeLinearTeacher(teacher, { side: 4, classes: 5 })
      return undefined
    },
    /labels up to 6.*classes 0\.\.4/,
  ],
  [
    'logits that are not finite',
    ({ teacher }) => {
      writeLinearTeacher(teacher, {
        side: 4,
        classes: 7,
        extend: (graph, logits) => graph.output('z', 'float32', ['N', 7], graph.node('Sqrt', [logits])),
      })
      return undefined
    },
    /sample '\d+' are not finite/,
  ],
  [
    'another input size',
    ({ teacher }) => void writeLinearTeacher(teacher, { side: 5, classes: 7 }),
    /5.*5.*4.*4|4.*4.*5.*5/,
  ],
  [
    'provider cuda where there is none',
    () => ['--provider', 'cuda'],
    /libonnxruntime_providers_cuda\.so is missing.*ONNXRUNTIME_NODE_INSTALL=cuda12/,
  ],
  [
    'preprocessing with an unknown key',
    ({ dir }) => {
      writeFileSync(join(dir, 'p.json'), '{"version":1,"normalise":true}')
      return ['--preprocess', join(dir, 'p.json')]
    },
    /p\.json: .*unknown key 'normalise'/,
  ],
  [
    'names for another number of classes',
    ({ dir }) => {
      writeFileSync(join(dir, 'names'), 'a\nb\n')
      return ['--classes', join(dir, 'names')]
    },
    /2 class names for 7 logits/,
  ],
]

describe('bad input to export is one line, exit code 2, and nothing written', () => {
  it.each(cases)('%s', async (_, prepare, message) => {
    const at = fixture()
    const flags = (prepare(at) as string[] | undefined) ?? []
    const before = readdirSync(at.dir, { recursive: true })
    const error = await failureOf('export', at.images, '--teacher', at.teacher, '--out', at.out, ...flags)
    expect(error.message).toMatch(message)
    expect(error.message).not.toContain('\n')
    expect(error.exitCode).toBe(2)
    expect(readdirSync(at.dir, { recursive: true })).toEqual(before)
  })

  it('an output folder that is not empty and not ours', async () => {
    const { images, teacher, out } = fixture()
    mkdirSync(out)
    writeFileSync(join(out, 'thesis.tex'), 'mine')
    const error = await failureOf('export', images, '--teacher', teacher, '--out', out)
    expect(error.message).toMatch(/targets: expected an empty folder or an export to continue, found 'thesis.tex'/)
    expect(readdirSync(out)).toEqual(['thesis.tex'])
  })

  it('an unreadable image, which --on-error skip lists in the manifest instead', async () => {
    const { dir, teacher, out } = fixture()
    const photos = join(dir, 'photos')
    for (let label = 0; label < 7; label++) {
      mkdirSync(join(photos, `class${label}`), { recursive: true })
      for (const name of ['a', 'b']) {
        await sharp({ create: { width: 4, height: 4, channels: 3, background: { r: 30 * label, g: 9, b: 99 } } })
          .png()
          .toFile(join(photos, `class${label}`, `${name}.png`))
      }
    }
    writeFileSync(join(photos, 'class3', 'b.png'), 'no image')
    writeFileSync(join(dir, 'p.json'), '{"version":1,"color":"gray","resize":{"width":4,"height":4}}')
    const flags = ['--teacher', teacher, '--preprocess', join(dir, 'p.json'), '--out', out]

    const error = await failureOf('export', photos, ...flags)
    expect(error.message).toMatch(/class3\/b\.png/)
    expect(existsSync(out)).toBe(false)

    await buildProgram().parseAsync(['export', photos, ...flags, '--on-error', 'skip', '--json'], { from: 'user' })
    const manifest = JSON.parse(readFileSync(join(out, 'manifest.json'), 'utf8'))
    expect(manifest.rows).toBe(13)
    expect(manifest.runtime.decoder).toMatch(/^sharp \d.*, libvips \d/)
    expect(manifest.source.skipped).toEqual([{ id: 'class3/b.png', reason: expect.any(String) }])
  })
})

describe('a bad dataset', () => {
  it.each([
    [
      'an unknown version',
      (text: string) => text.replace('"version": 1', '"version": 99'),
      /version 99 is unknown, expected 1/,
    ],
    ['an unknown key', (text: string) => text.replace('"kind"', '"surprise": 1,\n"kind"'), /surprise/],
    [
      'a path that leaves the folder',
      (text: string) => text.replace('data/00000.arrow', '../00000.arrow'),
      /shards\[0\]\.file|data\/<five/,
    ],
    [
      'a count that does not match',
      (text: string) => text.replace('"rows": 100', '"rows": 99'),
      /rows.*expected.*found/,
    ],
    ['no JSON', () => 'targets', /JSON/],
  ])('with %s is refused in one line', async (_, edit, message) => {
    const { images, teacher, out } = fixture()
    await buildProgram().parseAsync(['export', images, '--teacher', teacher, '--out', out, '--batch', '32', '--json'], {
      from: 'user',
    })
    const path = join(out, 'manifest.json')
    const text = readFileSync(path, 'utf8')
    expect(edit(text)).not.toBe(text)
    writeFileSync(path, edit(text))
    const error = await failureOf('inspect', out)
    expect(error).toMatchObject({ exitCode: 2, message: expect.stringMatching(message) })
    expect(error.message).not.toContain('\n')
  })

  it('that is not there is said to be missing', async () => {
    const error = await failureOf('inspect', '/nowhere')
    expect(error.message).toMatch(/\/nowhere/)
  })
})
