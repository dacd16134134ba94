import { createHash } from 'node:crypto'
import { z } from 'zod'
import { FormatError } from '../errors.js'
import { parseJson } from '../json.js'
import { version } from '../version.js'
import { checkKind, expectIn, MAX_ROW_VALUES } from './check-kind.js'
import { CODECS, type CodecName, isCodecName } from './codecs/codec.js'
import { viewsOf } from './columns.js'

// Limits. A manifest may come from anyone: each limit bounds what reading it, or acting on it, can cost.
/** A manifest of 100,000 shards is 16 MB; its list of skipped rows may be as long again. Read whole into memory. */
export const MAX_MANIFEST_BYTES = 256 * 2 ** 20
/** Bounds a row to 64 MiB of float32. The largest vocabularies in use have 2^18 entries. */
export const MAX_CLASSES = 2 ** 24
/** Arrow counts a batch's utf8 bytes in an int32: MAX_BATCH_ROWS ids of MAX_ID_BYTES stay below 2^31. */
export const MAX_BATCH_ROWS = 2 ** 20
export const MAX_ID_BYTES = 1024
/** File names have at least five digits; a million shards of the default size are 128 TB. */
export const MAX_SHARDS = 1_000_000
/** More unreadable rows than this is a broken source, and the list is held in memory. */
export const MAX_SKIPPED = 1_000_000
/** Preprocessing and augmentation are a handful of numbers each. */
export const MAX_SETTINGS_BYTES = 64 * 2 ** 10
/** The most views that a study has used is 10⁴ (Beyer et al. 2022); a view has a handful of parameters. */
export const MAX_VIEWS = 2 ** 16
export const MAX_PARAMETERS = 64
/** Longer contexts exist, but a row is read whole: what it stores is bounded, too. */
export const MAX_POSITIONS = 2 ** 20
/** A dataset made of this many others, over all generations, is a mistake; the list is held in memory. */
export const MAX_ANCESTORS = 10_000

/** How the logits came out of the teacher's graph (FORMAT.md, `teacher.logits`). */
export const LOGITS_FOUND = [
  'logits',
  'softmax removed',
  'log-softmax removed',
  'sigmoid removed',
  'log-probabilities',
  'log of probabilities',
] as const

/** Features (FORMAT.md, "Features") that this reader knows. A manifest that names another is refused by that name. */
const FEATURES: ReadonlySet<string> = new Set()

const text = (max: number) => z.string().max(max)
const count = z.int().min(0)
const sha256 = z.string().regex(/^[0-9a-f]{64}$/, 'expected a SHA-256 in lower-case hexadecimal')
const settings = z
  .record(z.string(), z.json())
  .refine((value) => JSON.stringify(value).length <= MAX_SETTINGS_BYTES, `longer than ${MAX_SETTINGS_BYTES} bytes`)

const skipped = z.strictObject({ id: text(MAX_ID_BYTES), reason: text(1000) })

const shard = z.strictObject({
  // Only this form: nothing absolute, no `..`, no other folder, nothing that a platform reads in its own way.
  file: z.string().regex(/^data\/\d{5,7}\.arrow$/, 'expected data/<five to seven digits>.arrow'),
  rows: count,
  bytes: z.int().min(1),
  sha256,
})

const teacher = z.strictObject({
  file: text(4096),
  sha256,
  opset: z.int().min(1).max(1000),
  output: text(1000),
  logits: z.enum(LOGITS_FOUND),
  // Absent: the graph's structure alone decided.
  rule: z.enum(['numbers', 'told']).optional(),
  floor: z.number().positive().max(1).optional(),
  classLabels: z
    .array(z.union([text(1000), z.int()]))
    .max(MAX_CLASSES)
    .optional(),
  swapped: z.literal(true).optional(),
  producer: text(1000),
})

const source = z.strictObject({
  uri: text(4096),
  kind: z.string().regex(/^[a-z0-9-]{1,32}$/, 'expected a short lower-case word'),
  fingerprint: sha256,
  rows: count,
  // what opens the same rows again, beside the path: files may be many, so only the manifest's own size bounds it
  options: z.record(z.string(), z.json()).optional(),
  range: z.strictObject({ from: count, to: count }).optional(),
})

const operation = z.strictObject({
  operation: z.enum(['merge', 'convert', 'select', 'ensemble']),
  options: settings,
  from: z.array(sha256).min(1).max(MAX_ANCESTORS),
})

const ancestor = z.strictObject({
  manifest: sha256,
  rows: count,
  codec: text(100),
  teacher: sha256,
  range: source.shape.range,
  derived: operation.optional(),
})

const derived = operation.extend({ rows: count, ancestors: z.array(ancestor).max(MAX_ANCESTORS) })

const runtime = z.strictObject({
  decant: text(100),
  onnxruntime: text(100),
  provider: text(100),
  precision: text(100),
  batch: z.int().min(1).max(MAX_BATCH_ROWS),
  // Absent: a row's logits do not depend on the rows that it is run with.
  rows: z.literal('alone').optional(),
  fixedBatch: z.int().min(1).max(MAX_BATCH_ROWS).optional(),
  node: text(100).optional(),
  decoder: text(200).optional(),
})

const measure = z.strictObject({ mean: z.number(), worst: z.number() })

const views = z.strictObject({
  count: z.int().min(1).max(MAX_VIEWS),
  // the names of what `view_params` holds of each view
  parameters: z.array(text(100)).max(MAX_PARAMETERS),
  augment: settings,
  seed: z.int().min(0),
})

const inputs = z.strictObject({
  kind: z.enum(['image', 'features', 'tokens']),
  shape: z
    .array(z.int().min(1))
    .min(1)
    .max(8)
    .refine((shape) => shape.reduce((all, n) => all * n, 1) <= MAX_ROW_VALUES, `more than ${MAX_ROW_VALUES} values`),
})

const described = {
  classes: z.int().min(1).max(MAX_CLASSES),
  names: z.array(text(1000)).max(MAX_CLASSES).nullable(),
  codec: z.custom<CodecName>(isCodecName, `expected one of ${CODECS}`),
  rowsPerShard: z.int().min(1),
  rowsPerBatch: z.int().min(1).max(MAX_BATCH_ROWS),
  teacher,
  preprocess: settings.nullable(),
  runtime,
  license: z.string().max(100).nullable(),
  // Left out where there is nothing to say: datasets of before these keys, and equal plans, stay as they are.
  positions: z.int().min(2).max(MAX_POSITIONS).optional(),
  positionLabels: z.literal('next token').optional(),
  inputs: inputs.nullable().optional(),
  features: z.array(text(100)).min(1).max(100).optional(),
  derived: derived.optional(),
  teacherLicense: z.string().min(1).max(100).optional(),
}

const perTemperature = z.strictObject({
  temperature: z.number().positive(),
  klBuckets: measure,
  klClasses: measure,
  tailError: measure.nullable(),
})

export const planSchema = z.strictObject({ ...described, views: views.optional(), source })
export const shardSchema = shard
export const skippedSchema = skipped

const manifestSchema = z.strictObject({
  format: z.literal('decant'),
  version: z.literal(1),
  kind: z.literal('logits'),
  ...described,
  rows: count,
  views: z.union([z.literal(1), views]),
  source: source.extend({ skipped: z.array(skipped).max(MAX_SKIPPED) }),
  created: z.iso.datetime(),
  fidelity: z.strictObject({ rows: z.int().min(1), temperatures: z.array(perTemperature).min(1).max(100) }).optional(),
  shards: z.array(shard).max(MAX_SHARDS),
  sha256: sha256.optional(),
})

/** One shard as the manifest lists it: `bytes` and `sha256` are of the whole file. */
export type ShardEntry = z.infer<typeof shard>
/** A row of the source that the export left out, and why. */
export type Skipped = z.infer<typeof skipped>

/** How a dataset was made of others: FORMAT.md, "derived". */
export type Derived = z.infer<typeof derived>

/**
 * Everything that determines the bytes of a dataset. Two exports with equal plans write equal shards.
 * `rowsPerShard` counts rows of the source: shard k holds source rows k·rowsPerShard up to (k+1)·rowsPerShard, less those skipped.
 */
export type Plan = Omit<z.infer<typeof planSchema>, 'preprocess'> & { preprocess: object | null }

/** manifest.json: what a soft-target dataset is and which files make it up (FORMAT.md, "manifest.json"). */
export type Manifest = Omit<z.infer<typeof manifestSchema>, 'preprocess'> & { preprocess: object | null }

/** How far a codec's targets are from the teacher's, measured when they were written. */
export type Fidelity = NonNullable<Manifest['fidelity']>

/** The plan that wrote a dataset. */
export function planOf(manifest: Manifest): Plan {
  const { format, version, kind, rows, views, created, shards, fidelity, sha256, ...described } = manifest
  const { skipped: _, ...source } = manifest.source
  return { ...described, ...(views !== 1 && { views }), source }
}

/** Samples of the source that an export takes, those it skips among them; of a derived dataset, its own. Each has its views. */
export function plannedSamples(plan: Pick<Plan, 'source' | 'derived' | 'views'>): number {
  const { rows, range } = plan.source
  if (plan.derived) return plan.derived.rows / viewsOf(plan)
  return range ? range.to - range.from : rows
}

/**
 * Reads the text of a manifest, trusting nothing in it.
 * @throws FormatError at the first thing that is wrong: not JSON, unknown version, unknown or missing key, a path other than
 * data/<digits>.arrow, a file listed twice, counts that do not add up, other bytes than its `sha256` says.
 */
export function parseManifest(text: string, path = 'manifest.json'): Manifest {
  const value = parseJson(text, path)
  if (isRecord(value) && value.format === 'decant' && value.version !== 1)
    throw new FormatError(
      `${path}: version ${JSON.stringify(value.version)?.slice(0, 40)} is unknown, expected 1; a newer decant may read it`,
    )
  if (isRecord(value)) checkFeatures(value.features, path)
  const manifest: Manifest = validate(manifestSchema, value, path)
  checkCounts(manifest, path)
  if (manifest.sha256 !== undefined) checkSeal(text, manifest.sha256, path)
  return manifest
}

/** @throws FormatError that names the first feature which this reader does not know */
function checkFeatures(features: unknown, path: string): void {
  const unknown = Array.isArray(features) ? features.find((name) => !FEATURES.has(String(name))) : undefined
  if (unknown !== undefined)
    throw new FormatError(
      `${path}: the dataset uses the feature ${JSON.stringify(unknown)?.slice(0, 100)}, which decant ${version} does not know; a newer decant may read it`,
    )
}

/** The text of a manifest, with the SHA-256 of all its other bytes in the last key. */
export function formatManifest(manifest: Manifest): string {
  const { sha256: _, ...rest } = manifest
  const text = `${JSON.stringify({ ...rest, sha256: NO_DIGITS }, null, 2)}\n`
  const at = text.lastIndexOf(NO_DIGITS)
  return text.slice(0, at) + hashText(text) + text.slice(at + NO_DIGITS.length)
}

/** FORMAT.md, "The manifest's own hash": its 64 digits count as zeros. */
const NO_DIGITS = '0'.repeat(64)

function checkSeal(text: string, sha256: string, path: string): void {
  const at = text.lastIndexOf(sha256)
  if (!/^"\s*\}\s*$/.test(text.slice(at + sha256.length)))
    throw new FormatError(`${path}: sha256: expected it to be the last key`)
  const found = hashText(text.slice(0, at) + NO_DIGITS + text.slice(at + sha256.length))
  if (found !== sha256)
    throw new FormatError(
      `${path}: damaged or altered: its sha256 says ${sha256}, found ${found}; who alters a manifest on purpose leaves that key out`,
    )
}

const hashText = (text: string): string => createHash('sha256').update(text).digest('hex')

/** Parses with a schema; the first issue becomes a one-line FormatError that names the key. */
export function validate<T>(schema: z.ZodType<T>, value: unknown, path: string): T {
  let result: z.ZodSafeParseResult<T>
  try {
    result = schema.safeParse(value)
  } catch (error) {
    throw new FormatError(`${path}: nested too deeply (${(error as Error).message})`)
  }
  if (result.success) return result.data
  const issue = result.error.issues[0]!
  const place = issue.path.map((part) => (typeof part === 'number' ? `[${part}]` : `.${String(part)}`)).join('')
  throw new FormatError(`${path}${place && `: ${place.replace(/^\./, '')}`}: ${issue.message.slice(0, 300)}`)
}

function checkCounts(manifest: Manifest, path: string): void {
  const { derived, rows, shards, source, rowsPerShard } = manifest
  const views = viewsOf(manifest)
  const expect = expectIn(path)
  const rowBytes = checkKind(manifest, path)
  expect(
    "rows, the sum of the shards' rows",
    shards.reduce((sum, shard) => sum + shard.rows, 0),
    rows,
  )
  const { range } = source
  if (range && (range.from > range.to || range.to > source.rows))
    throw new FormatError(`${path}: source.range: ${range.from} to ${range.to} of ${source.rows} rows`)
  if (derived) expect('rows, as in derived', derived.rows, rows)
  else
    expect(
      `rows and skipped rows, together the rows of the source${range ? "'s range" : ''}${views > 1 ? `, ${views} views each` : ''}`,
      plannedSamples({ source }) * views,
      rows + source.skipped.length * views,
    )
  if (rows % views) throw new FormatError(`${path}: ${rows} rows, expected a multiple of the ${views} views`)
  const files = new Set<string>()
  for (const { file, rows, bytes } of shards) {
    if (files.has(file)) throw new FormatError(`${path}: shards: ${file} is listed twice`)
    if (rows > rowsPerShard * views)
      throw new FormatError(
        `${path}: shards: ${file} has ${rows} rows, expected at most rowsPerShard = ${rowsPerShard * views}`,
      )
    if (bytes < rows * rowBytes)
      throw new FormatError(
        `${path}: shards: ${file} has ${bytes} bytes, expected at least its ${rows} rows of ${rowBytes} bytes`,
      )
    files.add(file)
  }
}

const isRecord = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null
