import { DecantError } from '../../errors.js'
import { type CodecName, codecOf } from '../codecs/codec.js'
import { labelsByPosition, viewsOf } from '../columns.js'
import { chooseRows } from '../layout.js'
import type { Manifest } from '../manifest.js'
import type { DatasetPlace, Targets } from '../reader.js'
import type { Rows } from '../writer.js'
import { type DeriveOptions, derivePlan, rowsWithLogits, withParents, writeDerived } from './derive.js'
import { fidelityOf } from './fidelity.js'

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
    const labels = storedLabels(manifest, codec)
    const rows = chooseRows({ ...manifest, codec, ...labels, shardBytes: shardMb * 2 ** 20 })
    const plan = derivePlan(
      parents,
      { operation: 'convert', options: { codec }, rows: manifest.rows },
      {
        ...{ codec, ...labels, rowsPerBatch: rows.rowsPerBatch },
        rowsPerShard: Math.max(1, Math.round(rows.rowsPerShard / views)),
      },
    )
    const fidelity = await fidelityOf(parents, codec, ([one]) => one!.logits)
    return writeDerived(plan, { ...options, fidelity }, (from) => read(targets, from))
  })
}

async function* read(targets: Targets, from: number): AsyncGenerator<Rows> {
  const { manifest } = targets
  for await (const chunk of targets.chunks({ from, verify: true, reuse: true }))
    yield {
      ...rowsWithLogits(chunk, chunk.logits, manifest),
      skipped: chunk.first === 0 ? manifest.source.skipped : [],
    }
}

/** Labels by position are the next tokens, which only a dataset with its inputs has. */
export const storedLabels = (manifest: Manifest, codec: CodecName): Pick<Manifest, 'positionLabels'> =>
  manifest.inputs?.kind === 'tokens' && manifest.inputs.shape[0] === manifest.positions
    ? labelsByPosition({ ...manifest, codec })
    : {}

/** @throws DecantError where raw logits of all classes do not come back */
export function checkDense({ dir, manifest }: Targets, what: string): void {
  if (codecOf(manifest.codec).kind !== 'dense')
    throw new DecantError(
      `${dir}: codec ${manifest.codec} keeps some classes and the tail's mass: it cannot be ${what}`,
    )
}
