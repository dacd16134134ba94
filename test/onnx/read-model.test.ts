import { createHash } from 'node:crypto'
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { create } from '@bufbuild/protobuf'
import fc from 'fast-check'
import { type ModelProto, StringStringEntryProtoSchema, TensorProto_DataLocation } from 'onnx-buf'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { FormatError } from '../../src/errors.js'
import { sessionSource } from '../../src/onnx/external-data.js'
import { encodeModel } from '../../src/onnx/graph-builder.js'
import { readModel } from '../../src/onnx/read-model.js'
import { build, floats, runModel } from './models.js'

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'decant-onnx-'))
})
afterAll(() => rm(folder, { recursive: true }))

let files = 0
async function write(data: Uint8Array | string, name = `${files++}.onnx`): Promise<string> {
  const path = join(folder, name)
  await writeFile(path, data)
  return path
}

const linear = () =>
  build((g) => {
    const x = g.input('x', 'float32', ['n', 2])
    g.output('z', 'float32', ['n', 3], g.node('MatMul', [x, g.f32([1, 2, 3, 4, 5, 6], [2, 3])]))
  })

test('a model is read with its size and hash', async () => {
  const data = encodeModel(linear())
  const path = await write(data)
  const model = await readModel(path)
  expect(model).toMatchObject({ path, bytes: data.length, sha256: createHash('sha256').update(data).digest('hex') })
  expect(encodeModel(model.proto)).toEqual(data)
  expect(model.external).toBeUndefined()
})

describe('what is not ONNX is refused in one line that names the file', () => {
  const cases: [string, Uint8Array | string, RegExp][] = [
    ['empty', '', /the file is empty/],
    ['text', 'import torch\nprint("no model")\n', /it is text/],
    ['JSON', '{"model": 1}', /it is text/],
    ['PNG', Buffer.from('89504e470d0a1a0a0000000d49484452', 'hex'), /it is a PNG image/],
    ['zip', Buffer.from('504b0304140000000800', 'hex'), /it is a zip archive/],
    ['gzip', gzipSync(encodeModel(linear())), /gzip-compressed/],
    ['Git LFS', 'version https://git-lfs.github.com/spec/v1\noid sha256:0\n', /git lfs pull/],
    ['zeros', new Uint8Array(64), /not an ONNX file/],
    ['no graph', Uint8Array.of(0x08, 8, 0x42, 2, 0x10, 18), /no graph/],
    ['no operator set', encodeModel({ ...linear(), opsetImport: [] } as ModelProto), /no operator set/],
    ['an empty graph', Uint8Array.of(0x08, 8, 0x3a, 0, 0x42, 2, 0x10, 18), /no outputs/],
    ['a graph of noise', Uint8Array.of(0x08, 8, 0x3a, 3, 0xff, 0xff, 0xff, 0x42, 2, 0x10, 18), /no valid ONNX file/],
  ]
  test.each(cases)('%s', async (_, data, message) => {
    const path = await write(data)
    const error = await readModel(path).catch((e: unknown) => e)
    expect(error).toBeInstanceOf(FormatError)
    expect((error as Error).message).toMatch(message)
    expect((error as Error).message.startsWith(`${path}: `)).toBe(true)
    expect((error as Error).message).not.toContain('\n')
  })

  test('a missing file and a folder', async () => {
    await expect(readModel(join(folder, 'none.onnx'))).rejects.toThrow(/none.onnx: no such file/)
    await expect(readModel(folder)).rejects.toThrow(/no regular file/)
  })

  test('random bytes', () =>
    fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 200 }), async (data) => {
        await expect(readModel(await write(data, 'random'))).rejects.toBeInstanceOf(FormatError)
      }),
    ))
})

test('a model cut anywhere is refused, nearly always as truncated', async () => {
  const data = encodeModel(linear())
  const messages: string[] = []
  for (let end = 1; end < data.length; end++) {
    const error = await readModel(await write(data.subarray(0, end), 'cut')).catch((e: unknown) => e)
    expect(error).toBeInstanceOf(FormatError)
    messages.push((error as Error).message)
  }
  // Not where too little is left to be recognised, nor at the few places between two fields.
  expect(messages.filter((m) => m.includes('truncated ONNX file')).length).toBeGreaterThan(data.length - 12)
})

describe('tensors that contradict themselves are refused', () => {
  const withTensor = (change: (tensor: NonNullable<ModelProto['graph']>['initializer'][number]) => void) => {
    const proto = linear()
    change(proto.graph!.initializer[0]!)
    return encodeModel(proto)
  }
  test('absurd sizes', async () => {
    const path = await write(withTensor((t) => (t.dims = [1n << 40n, 1n << 40n])))
    await expect(readModel(path)).rejects.toThrow(/tensor 'c': expected \d+ bytes for float32\[1099511627776,109951/)
  })
  test('negative sizes', async () => {
    const path = await write(withTensor((t) => (t.dims = [-2n, -3n])))
    await expect(readModel(path)).rejects.toThrow(/no negative size/)
  })
  test('missing values', async () => {
    const path = await write(withTensor((t) => (t.rawData = t.rawData.slice(4))))
    await expect(readModel(path)).rejects.toThrow(/expected 24 bytes for float32\[2,3\], found 20/)
  })
})

describe('weights in external files', () => {
  /** The linear model with its weights moved to a file, 64 bytes in. */
  async function external(dir: string, location = 'weights.bin', entries: Record<string, string> = {}) {
    await mkdir(dir, { recursive: true })
    const proto = linear()
    const tensor = proto.graph!.initializer[0]!
    const data = Buffer.concat([Buffer.alloc(64), tensor.rawData])
    const all = { location, offset: '64', length: '24', ...entries }
    tensor.rawData = new Uint8Array()
    tensor.dataLocation = TensorProto_DataLocation.EXTERNAL
    tensor.externalData = Object.entries(all).map(([key, value]) =>
      create(StringStringEntryProtoSchema, { key, value }),
    )
    const model = encodeModel(proto)
    await writeFile(join(dir, 'm.onnx'), model)
    return { path: join(dir, 'm.onnx'), data, model }
  }

  const run = async (path: string) => {
    const model = await readModel(path)
    const { model: source, options } = sessionSource(model, model.proto)
    return (await runModel(source, { x: floats([1, 10], [1, 2]) }, options)).z!.values
  }

  test('run from where they are, and are hashed with the model', async () => {
    const { path, data, model } = await external(join(folder, 'plain'))
    await writeFile(join(folder, 'plain', 'weights.bin'), data)
    expect(await run(path)).toEqual([41, 52, 63])
    const read = await readModel(path)
    expect(read.bytes).toBe(model.length + data.length)
    expect(read.sha256).toBe(createHash('sha256').update(model).update(data).digest('hex'))
    expect(read.proto.graph!.initializer[0]!.rawData.length).toBe(0)
  })

  test('run from a cache that links to another folder, as the Hugging Face hub keeps its files', async () => {
    const { data, path } = await external(join(folder, 'made'))
    const [blobs, snapshot] = [join(folder, 'hub', 'blobs'), join(folder, 'hub', 'snapshot')]
    await mkdir(blobs, { recursive: true })
    await mkdir(snapshot)
    await writeFile(join(blobs, 'aaaa'), await readFile(path))
    await writeFile(join(blobs, 'bbbb'), data)
    await symlink('../blobs/aaaa', join(snapshot, 'm.onnx'))
    await symlink('../blobs/bbbb', join(snapshot, 'weights.bin'))
    expect(await run(join(snapshot, 'm.onnx'))).toEqual([41, 52, 63])
  })

  test('must be there, and long enough', async () => {
    const { path, data } = await external(join(folder, 'short'))
    await expect(readModel(path)).rejects.toThrow(/external data 'weights.bin' is missing/)
    await writeFile(join(folder, 'short', 'weights.bin'), data.subarray(0, 80))
    await expect(readModel(path)).rejects.toThrow(/tensor 'c' of .* ends at byte 88, the file has 80/)
  })

  test.each([
    '../weights.bin',
    '/etc/passwd',
    'a/../../b',
    'C:\\w.bin',
    'C:w.bin',
    '\\\\host\\share\\w',
    '..\\w.bin',
    '',
  ])('must not leave the folder: %j', async (location) => {
    const { path } = await external(join(folder, 'hostile'), location)
    await writeFile(join(folder, 'weights.bin'), Buffer.alloc(1024))
    await expect(readModel(path)).rejects.toThrow(/in the model's own folder, found/)
  })

  test('must not leave the folder through a link', async () => {
    const { path } = await external(join(folder, 'linked'))
    await mkdir(join(folder, 'elsewhere'), { recursive: true })
    await writeFile(join(folder, 'elsewhere', 'w'), Buffer.alloc(1024))
    await symlink('../elsewhere/w', join(folder, 'linked', 'weights.bin'))
    await expect(readModel(path)).rejects.toThrow(/links out of it: 'weights.bin'/)
  })

  test.each<Record<string, string>>([{ offset: '-1' }, { offset: '1e3' }, { length: '99999999999999999999' }])(
    'entries must be numbers: %j',
    async (entries) => {
      const { path } = await external(join(folder, 'odd'), 'weights.bin', entries)
      await expect(readModel(path)).rejects.toThrow(/expected a number of bytes as (offset|length)/)
    },
  )
})
