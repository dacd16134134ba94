import { createHash } from 'node:crypto'
import { DecantError, MismatchError } from '../../errors.js'
import type { CodecName } from '../codecs/codec.js'
import { viewsOf } from '../columns.js'
import { chooseRows } from '../layout.js'
import type { Manifest, Plan } from '../manifest.js'
import type { Chunk, DatasetPlace } from '../reader.js'
import type { Rows } from '../writer.js'
import { checkDense, storedLabels } from './convert.js'
import { type DeriveOptions, derivePlan, type Parent, rowsWithLogits, withParents, writeDerived } from './derive.js'
import { fidelityOf } from './fidelity.js'

export interface EnsembleOptions extends DeriveOptions {
  /** One a dataset, normalised to sum 1. Default: equal. */
  weights?: number[]
  /** What is averaged: raw logits, or probabilities at T = 1, whose logarithm is then kept. Default: logits. */
  space?: 'logits' | 'probabilities'
  /** Default: the first dataset's. */
  codec?: CodecName
  /** Size of a shard, about, in MiB. Default 128. */
  shardMb?: number
}

/**
 * Averages what several teachers said of the same rows: z = Σ w_i z_i, or z = log Σ w_i softmax(z_i).
 * @throws MismatchError where classes, rows, views or positions differ; DecantError where an id, a label or a length differs, or a codec does not keep all classes
 */
export async function ensembleTargets(places: DatasetPlace[], options: EnsembleOptions): Promise<Manifest> {
  const { space = 'logits', shardMb = 128 } = options
  const weights = normalise(options.weights ?? places.map(() => 1), places.length)
  return withParents(places, async (parents) => {
    checkAlike(parents)
    const { manifest } = parents[0]!.targets
    const codec = options.codec ?? manifest.codec
    const labels = storedLabels(manifest, codec)
    const rows = chooseRows({ ...manifest, codec, ...labels, shardBytes: shardMb * 2 ** 20 })
    const plan = derivePlan(
      parents,
      { operation: 'ensemble', options: { space, weights }, rows: manifest.rows },
      {
        codec,
        ...labels,
        rowsPerBatch: rows.rowsPerBatch,
        rowsPerShard: Math.max(1, Math.round(rows.rowsPerShard / viewsOf(manifest))),
        teacher: joinTeachers(parents, space),
        ...joinLicences(parents),
      },
    )
    const average: Average = (parts) =>
      space === 'logits' ? averageLogits(parts, weights) : averageProbabilities(parts, weights, manifest.classes)
    const fidelity = await fidelityOf(parents, codec, average)
    return writeDerived(plan, { ...options, fidelity }, (from) => read(parents, { from, average }))
  })
}

function normalise(weights: number[], count: number): number[] {
  if (count < 2) throw new DecantError('ensemble: expected at least two datasets')
  if (weights.length !== count)
    throw new DecantError(`ensemble: expected ${count} weights, one a dataset, found ${weights.length}`)
  const most = Math.max(...weights)
  const shares = weights.map((weight) => weight / most) // first, so that their sum cannot overflow
  const sum = shares.reduce((a, b) => a + b, 0)
  if (!weights.every((weight) => weight > 0 && Number.isFinite(weight)))
    throw new DecantError(`ensemble: weights are numbers above 0, found ${weights.join(', ')}`)
  return shares.map((share) => share / sum)
}

function checkAlike(parents: Parent[]): void {
  const [first, ...others] = parents.map(({ targets }) => targets)
  for (const { targets } of parents) checkDense(targets, 'averaged')
  for (const { dir, manifest } of others) {
    const differences = (['rows', 'classes', 'names', 'positions', 'views', 'inputs'] as const)
      .map((key) => [key, JSON.stringify(first!.manifest[key]), JSON.stringify(manifest[key])])
      .filter(([, a, b]) => a !== b)
      .map(([key, a, b]) => `${key}: ${a?.slice(0, 100)} there, ${b?.slice(0, 100)} here`)
    if (differences.length > 0)
      throw new MismatchError(`${dir} is not of the same rows and classes as ${first!.dir}. Different:`, differences)
  }
}

/** FORMAT.md, "Derived datasets": the teachers' names and a hash of their hashes. */
function joinTeachers(parents: Parent[], space: 'logits' | 'probabilities'): Manifest['teacher'] {
  const teachers = parents.map(({ targets }) => targets.manifest.teacher)
  const join = (key: 'file' | 'output' | 'producer') =>
    [...new Set(teachers.map((teacher) => teacher[key]))].join(' + ').slice(0, 1000)
  return {
    file: join('file'),
    sha256: createHash('sha256')
      .update(teachers.map(({ sha256 }) => sha256).join('\n'))
      .digest('hex'),
    opset: Math.max(...teachers.map(({ opset }) => opset)),
    output: join('output'),
    logits: space === 'logits' ? teachers[0]!.logits : 'log of probabilities',
    producer: join('producer'),
  }
}

/** What all agree on; where they do not, `decant license` states it anew. */
function joinLicences(parents: Parent[]): Pick<Plan, 'license' | 'teacherLicense'> {
  const common = (key: 'license' | 'teacherLicense') => {
    const [first, ...others] = parents.map(({ targets }) => targets.manifest[key])
    return others.every((other) => other === first) ? first : undefined
  }
  return { license: common('license') ?? null, teacherLicense: common('teacherLicense') ?? undefined }
}

type Average = (parts: { logits: Float32Array }[]) => Float32Array

async function* read(parents: Parent[], { from, average }: { from: number; average: Average }): AsyncGenerator<Rows> {
  const [first] = parents
  const { manifest, classes, rows } = first!.targets
  const size = Math.max(1, Math.floor(CHUNK_VALUES / (classes * (manifest.positions ?? 1))))
  const readers = parents.map(({ targets }) =>
    targets.chunks({ from, rows: size, verify: true, reuse: true })[Symbol.asyncIterator](),
  )
  try {
    for (let row = from; row < rows; row += size) {
      const chunks = (await Promise.all(readers.map((reader) => reader.next()))).map(({ value }) => value as Chunk)
      checkSameRows(parents, chunks)
      yield {
        ...rowsWithLogits(chunks[0]!, average(chunks), manifest),
        skipped: row === 0 ? manifest.source.skipped : [],
      }
    }
  } finally {
    await Promise.all(readers.map((reader) => reader.return?.()))
  }
}

/** Logits of each dataset that are in memory at once: 4 MiB of float32. */
const CHUNK_VALUES = 2 ** 20

function checkSameRows(parents: Parent[], [first, ...others]: Chunk[]): void {
  others.forEach((chunk, i) => {
    const { dir } = parents[i + 1]!.targets
    for (let row = 0; row < chunk.rows; row++) {
      const differs = (what: string, b: unknown, a: unknown) =>
        new DecantError(`${dir}: row ${chunk.first + row} has the ${what}${b}, in ${parents[0]!.targets.dir} ${a}`)
      const [a, b] = [first!.idAt(row), chunk.idAt(row)]
      if (a !== b) throw differs('id ', `'${b}'`, `'${a}'`)
      const [label, other] = [first!.labels[row]!, chunk.labels[row]!]
      if (label !== other) throw differs(`id '${a}' and `, nameOf(other), nameOf(label))
      const [length, found] = [first!.columns.length?.[row], chunk.columns.length?.[row]]
      if (length !== found) throw differs(`id '${a}' and `, `${found} positions`, length)
    }
    const params = [first!.columns.view_params, chunk.columns.view_params]
    if (params[0]?.some((value, at) => value !== params[1]![at]))
      throw new DecantError(`${dir}: rows from ${chunk.first} on: other views than in ${parents[0]!.targets.dir}`)
  })
}

const nameOf = (label: number) => (label < 0 ? 'no label' : `the label ${label}`)

export function averageLogits(parts: { logits: Float32Array }[], weights: number[]): Float32Array {
  const sum = new Float64Array(parts[0]!.logits.length)
  parts.forEach(({ logits }, i) => {
    const weight = weights[i]!
    for (let at = 0; at < sum.length; at++) sum[at]! += weight * logits[at]!
  })
  return Float32Array.from(sum)
}

/** log Σ w_i softmax(z_i), as a log-sum-exp over i of log w_i + z_i - log Σ exp z_i, so that the smallest probabilities stay finite. */
export function averageProbabilities(
  parts: { logits: Float32Array }[],
  weights: number[],
  classes: number,
): Float32Array {
  const result = new Float32Array(parts[0]!.logits.length)
  const shifts = new Float64Array(parts.length)
  for (let row = 0; row < result.length; row += classes) {
    parts.forEach(({ logits }, i) => {
      shifts[i] = Math.log(weights[i]!) - logSumExp(logits, row, row + classes)
    })
    for (let at = row; at < row + classes; at++) {
      let top = Number.NEGATIVE_INFINITY
      for (let i = 0; i < parts.length; i++) top = Math.max(top, parts[i]!.logits[at]! + shifts[i]!)
      let sum = 0
      for (let i = 0; i < parts.length; i++) sum += Math.exp(parts[i]!.logits[at]! + shifts[i]! - top)
      result[at] = top + Math.log(sum)
    }
  }
  return result
}

function logSumExp(values: Float32Array, from: number, to: number): number {
  let top = Number.NEGATIVE_INFINITY
  for (let i = from; i < to; i++) if (values[i]! > top) top = values[i]!
  let sum = 0
  for (let i = from; i < to; i++) sum += Math.exp(values[i]! - top)
  return top + Math.log(sum)
}
