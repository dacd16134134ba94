import { DecantError } from '../../errors.js'
import { type CodecName, codecOf } from '../codecs/codec.js'
import { viewsOf } from '../columns.js'
import { measureFidelity } from '../fidelity.js'
import { chooseRows } from '../layout.js'
import { codecsOf } from '../lineage.js'
import type { Fidelity, Manifest } from '../manifest.js'
import type { DatasetPlace, Targets } from '../reader.js'
import type { Rows } from '../writer.js'
import { type DeriveOptions, derivePlan, rowsWithLogits, withParents, writeDerived } from './derive.js'

export interface ConvertOptions extends DeriveOptions {
  codec: CodecName
  /** Size of a shard, about, in MiB. Default 128. */
  shardMb?: number
}

/**
 * Writes a dataset's targets in another codec. From f32, what an export with that codec writes; from a codec that rounds, its
 * roundings stay.
 * @throws DecantError where the dataset's codec does not keep all classes
 */
export async function convertTargets(place: DatasetPlace, options: ConvertOptions): Promise<Manifest> {
  const { codec, shardMb = 128 } = options
  return withParents([place], async (parents) => {
    const { targets } = parents[0]!
    const { manifest } = targets
    checkDense(targets, 'converted')
    const views = viewsOf(manifest)
    const rows = chooseRows({ ...manifest, codec, shardBytes: shardMb * 2 ** 20 })
    const plan = derivePlan(
      parents,
      { operation: 'convert', options: { codec }, rows: manifest.rows },
      { codec, rowsPerBatch: rows.rowsPerBatch, rowsPerShard: Math.max(1, Math.round(rows.rowsPerShard / views)) },
    )
    return writeDerived(plan, { ...options, fidelity: await fidelityOf(targets, codec) }, (from) => read(targets, from))
  })
}

/** What the codec makes of some rows, evenly spread: fewer where they are large. */
const SAMPLED = { rows: 64, values: 2 ** 24 }

/** How far the converted targets are from the teacher's logits: measured where the parent has those, and no statement where two roundings meet. */
function fidelityOf(targets: Targets, codec: CodecName): Promise<Fidelity | undefined> | Fidelity | undefined {
  if (codecsOf(targets.manifest).every((one) => one === 'f32')) return measure(targets, codec)
  return codec === 'f32' ? targets.manifest.fidelity : undefined
}

async function measure(targets: Targets, codec: CodecName): Promise<Fidelity | undefined> {
  const { classes, rows } = targets
  const width = classes * (targets.manifest.positions ?? 1)
  const count = Math.min(rows, SAMPLED.rows, Math.max(1, Math.floor(SAMPLED.values / width)))
  if (count === 0) return undefined
  const logits = new Float32Array(count * width)
  for (let i = 0; i < count; i++) logits.set((await targets.row(Math.floor((i * rows) / count))).logits, i * width)
  return measureFidelity({ logits, classes, codec })
}

async function* read(targets: Targets, from: number): AsyncGenerator<Rows> {
  const { manifest } = targets
  for await (const chunk of targets.chunks({ from, verify: true, reuse: true }))
    yield {
      ...rowsWithLogits(chunk, chunk.logits, manifest),
      skipped: chunk.first === 0 ? manifest.source.skipped : [],
    }
}

/** @throws DecantError where raw logits of all classes do not come back */
export function checkDense({ dir, manifest }: Targets, what: string): void {
  if (codecOf(manifest.codec).kind !== 'dense')
    throw new DecantError(
      `${dir}: codec ${manifest.codec} keeps some classes and the tail's mass: it cannot be ${what}`,
    )
}
