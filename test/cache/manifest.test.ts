import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type Manifest, parseManifest } from '../../src/cache/index.js'
import { formatManifest, MAX_CLASSES, MAX_SHARDS } from '../../src/cache/manifest.js'
import { FormatError } from '../../src/errors.js'
import { CREATED, makePlan } from './datasets.js'

function makeManifest(): Manifest {
  const { source, ...plan } = makePlan({ rows: 100 })
  const shard = (index: number, rows: number) => ({
    file: `data/0000${index}.arrow`,
    rows,
    bytes: 5000,
    sha256: 'c'.repeat(64),
  })
  return {
    format: 'decant',
    version: 1,
    kind: 'logits',
    ...plan,
    rows: 99,
    views: 1,
    source: { ...source, skipped: [{ id: 'row/3', reason: 'unreadable' }] },
    created: CREATED,
    shards: [shard(0, 39), shard(1, 40), shard(2, 20)],
  }
}

/** The manifest's JSON with another value at `path`, keys separated by dots; undefined removes the key. */
function changed(path: string, value: unknown): string {
  const manifest = makeManifest()
  const keys = path.split('.')
  let parent = manifest as unknown as Record<string, unknown>
  for (const key of keys.slice(0, -1)) parent = parent[key] as Record<string, unknown>
  parent[keys.at(-1)!] = value
  return JSON.stringify(manifest)
}

const sha256 = expect.stringMatching(/^[0-9a-f]{64}$/)

test('a manifest is read as it was written', () => {
  expect(parseManifest(formatManifest(makeManifest()))).toEqual({ ...makeManifest(), sha256 })
})

test('of a codec that keeps some classes, those count for the size of a row', () => {
  const wide = { ...makeManifest(), classes: 32_000, positions: 4096, shards: [], rows: 0 }
  const source = { ...wide.source, rows: 0, skipped: [] }
  expect(parseManifest(formatManifest({ ...wide, source, codec: 'topk:8' })).classes).toBe(32_000)
  expect(() => parseManifest(formatManifest({ ...wide, source, codec: 'f16' }))).toThrow(
    /131072000 values a row in the column 'logits' of codec f16, expected at most 67108864: a codec that keeps some/,
  )
})

test('views, positions, stored inputs and fidelity are read as they were written', () => {
  const manifest: Manifest = {
    ...makeManifest(),
    rows: 198,
    views: { count: 2, parameters: ['left'], augment: { crop: 28 }, seed: 1 },
    positions: 4,
    inputs: { kind: 'image', shape: [2, 2, 3] },
    fidelity: {
      rows: 64,
      temperatures: [
        { temperature: 1, klBuckets: { mean: 1e-7, worst: 1e-6 }, klClasses: { mean: 0, worst: 0 }, tailError: null },
      ],
    },
  }
  manifest.shards.forEach((shard) => {
    Object.assign(shard, { rows: 2 * shard.rows, bytes: 10_000 })
  })
  expect(parseManifest(formatManifest(manifest))).toEqual({ ...manifest, sha256 })
})

test('how logits were found and how rows were run are read as they were written', () => {
  const manifest = makeManifest()
  Object.assign(manifest.teacher, {
    logits: 'log of probabilities',
    rule: 'numbers',
    floor: 2 ** -126,
    classLabels: [10, 'twenty', -30],
  })
  Object.assign(manifest.runtime, { rows: 'alone', fixedBatch: 8, batch: 1 })
  expect(parseManifest(formatManifest(manifest))).toEqual({ ...manifest, sha256 })
})

const views = { count: 2, parameters: [], augment: {}, seed: 0 }
const attacks: [string, string, RegExp][] = [
  ['no JSON', 'ARROW1', /manifest\.json: not JSON/],
  ['cut short', formatManifest(makeManifest()).slice(0, 300), /not JSON/],
  ['a list', '[]', /expected object/],
  ['null', 'null', /expected object/],
  ['another format', changed('format', 'parquet'), /format: .*"decant"/],
  ['an unknown version', changed('version', 2), /version 2 is unknown, expected 1/],
  ['a version that is an object', changed('version', { toString: 1 }), /version \{"toString":1\} is unknown/],
  [
    'a feature of a later version',
    changed('features', ['ragged']).replace('"codec":"f32"', '"codec":"packed:1"'),
    /manifest\.json: the dataset uses the feature "ragged", which decant \d+\.\d+\.\d+ does not know; a newer/,
  ],
  ['features that are no list', changed('features', 'ragged'), /features: /],
  ['a rule that nobody has', changed('teacher.rule', 'guessed'), /teacher\.rule/],
  ['a floor of logits', changed('teacher.floor', 0.5), /teacher\.floor: expected it with 'log of probabilities'/],
  ['a floor of 0', changed('teacher.floor', 0), /teacher\.floor/],
  ['class labels for other classes', changed('teacher.classLabels', [1, 2]), /classLabels, one per class: expected 3/],
  [
    'columns of three classes swapped',
    changed('teacher.swapped', true),
    /binary teacher's logits: expected 2, found 3/,
  ],
  ['rows run in an unknown way', changed('runtime.rows', 'together'), /runtime\.rows/],
  ['an unknown key', changed('extra', 1), /Unrecognized key: "extra"/],
  ['an unknown key inside', changed('shards.1.url', 'http://x'), /shards\[1\]: Unrecognized key: "url"/],
  ['no views', changed('views', 0), /views: /],
  ['views without their number', changed('views', { parameters: [], augment: {}, seed: 0 }), /views/],
  ['rows that differ from the views', changed('views', views), /, 2 views each: expected 200, found 101/],
  [
    'a top-k codec of one class',
    formatManifest({ ...makeManifest(), codec: 'topk:4', classes: 1, names: null }),
    /manifest\.json: a top-k or sampled codec keeps some of several classes, found 1/,
  ],
  [
    'a hybrid codec without a bit a class',
    formatManifest({ ...makeManifest(), codec: 'hybrid:80', classes: 1000, names: null }),
    /manifest\.json: codec hybrid:80 \(bytes a row\): 1000 classes need at least hybrid:523/,
  ],
  [
    'labels by position without positions',
    changed('positionLabels', 'next token'),
    /positionLabels: expected positions/,
  ],
  [
    'the logits of labels where all are kept',
    formatManifest({ ...makeManifest(), positions: 4, positionLabels: 'next token' }),
    /positionLabels: expected positions and a codec that keeps some classes, found f32/,
  ],
  ['a single position', changed('positions', 1), /positions: /],
  [
    'rows too large in all',
    changed('positions', 2 ** 20).replace('"classes":3', '"classes":100'),
    /1048576 positions of 100 classes are 104857600 values a row in the column 'logits' of codec f32, expected at most 67108864/,
  ],
  ['inputs of an unknown kind', changed('inputs', { kind: 'sound', shape: [1] }), /inputs\.kind/],
  [
    'inputs without end',
    changed('inputs', { kind: 'image', shape: [2 ** 20, 2 ** 20, 3] }),
    /inputs\.shape: more than/,
  ],
  ['a fidelity of no rows', changed('fidelity', { rows: 0, temperatures: [] }), /fidelity\.rows/],
  ['a missing key', changed('teacher', undefined), /teacher: /],
  ['an unknown codec', changed('codec', 'zip'), /codec: /],
  ['a path up', changed('shards.0.file', '../../etc/passwd'), /shards\[0\]\.file: expected data\//],
  ['a path up, hidden', changed('shards.0.file', 'data/../../00000.arrow'), /shards\[0\]\.file/],
  ['an absolute path', changed('shards.0.file', '/data/00000.arrow'), /shards\[0\]\.file/],
  ['a Windows path', changed('shards.0.file', 'data\\00000.arrow'), /shards\[0\]\.file/],
  ['a line break in a path', changed('shards.0.file', 'data/00000.arrow\n'), /shards\[0\]\.file/],
  ['a file listed twice', changed('shards.1.file', 'data/00000.arrow'), /data\/00000\.arrow is listed twice/],
  ['rows that do not add up', changed('rows', 100), /rows, the sum of the shards' rows: expected 99, found 100/],
  [
    'rows that differ from the source',
    changed('source.skipped', []),
    /together the rows of the source: expected 100, found 99/,
  ],
  [
    'a shard with too many rows',
    changed('rowsPerShard', 39),
    /00001\.arrow has 40 rows, expected at most rowsPerShard = 39/,
  ],
  ['a shard too small for its rows', changed('shards.1.bytes', 400), /00001\.arrow has 400 bytes, expected at least/],
  ['names for other classes', changed('names', ['a']), /names, one per class: expected 3, found 1/],
  ['a negative count', changed('shards.0.rows', -1), /shards\[0\]\.rows/],
  ['a fraction of a row', changed('shards.0.rows', 0.5), /shards\[0\]\.rows/],
  ['a number beyond 2^53', changed('rows', 2 ** 60), /rows/],
  ['an infinite number', JSON.stringify(makeManifest()).replace('"rows":99', '"rows":1e999'), /rows/],
  ['huge classes', changed('classes', MAX_CLASSES + 1), /classes/],
  ['too many shards', changed('shards', new Array(MAX_SHARDS + 1).fill(0)), /shards/],
  ['a hash in capitals', changed('shards.0.sha256', 'C'.repeat(64)), /expected a SHA-256/],
  [
    '__proto__',
    JSON.stringify(makeManifest()).replace('{', '{"__proto__":{"polluted":true},'),
    /__proto__ is not allowed/,
  ],
  [
    '__proto__ inside',
    JSON.stringify(makeManifest()).replace('"preprocess":{', '"preprocess":{"__proto__":{"polluted":true},'),
    /__proto__/,
  ],
  ['constructor', changed('constructor', { prototype: { polluted: true } }), /Unrecognized key/],
  ['a huge preprocessing', changed('preprocess', { mean: 'x'.repeat(1e5) }), /preprocess: longer than/],
  [
    'a deeply nested preprocessing',
    JSON.stringify(makeManifest()).replace('"mean":[0.5]', `"mean":${'['.repeat(20000)}${']'.repeat(20000)}`),
    /manifest\.json/,
  ],
]

describe('refused, in one line that names the place:', () => {
  test.each(attacks)('%s', (_, text, message) => {
    let found: unknown
    try {
      parseManifest(text)
    } catch (error) {
      found = error
    }
    expect(found).toBeInstanceOf(FormatError)
    expect((found as Error).message).toMatch(message)
    expect((found as Error).message).not.toContain('\n')
    expect((found as Error).message.length).toBeLessThan(500)
    expect(({} as { polluted?: boolean }).polluted).toBeUndefined()
  })

  test('any value changed to any other: an error or a manifest, never something else', () => {
    const paths = leaves(makeManifest())
    fc.assert(
      fc.property(fc.constantFrom(...paths), fc.jsonValue({ maxDepth: 2 }), (path, value) => {
        const text = changed(path, value)
        try {
          expect(parseManifest(text)).toEqual(JSON.parse(text))
        } catch (error) {
          if (!(error instanceof FormatError)) throw error
        }
      }),
      { numRuns: 500 },
    )
  })
})

/** The dotted path of every value inside. */
function leaves(value: unknown, prefix = ''): string[] {
  if (typeof value !== 'object' || value === null) return []
  return Object.entries(value).flatMap(([key, child]) => [`${prefix}${key}`, ...leaves(child, `${prefix}${key}.`)])
}
