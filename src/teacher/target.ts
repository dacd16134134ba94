import { type CodecName, codecOf, type RowKind, tailTable, targetKind } from '../cache/index.js'
import type { Target } from '../onnx/index.js'
import type { FeedSpec } from './run-rows.js'

/** What of a dataset decides what the graph computes. */
export type TargetOf = Pick<RowKind, 'codec' | 'classes' | 'positions' | 'positionLabels'>

/** A codec as the fused graph has it; none for hybrid, whose bins are chosen row by row. */
export function targetOf({ codec, classes, positions, positionLabels }: TargetOf): Target | undefined {
  if (codec === 'f32' || codec === 'f16') return codec
  if (codec === 'q8') return { codec }
  const family = codec.split(':')[0]
  if (family === 'hybrid') return undefined
  return {
    codec: family as 'topk' | 'sampled',
    k: headOf({ codec, classes, positions }),
    classes,
    labels: (positions ?? 1) > 1 ? positionLabels : 'given',
    temperatures: tailTable.temperatures,
  }
}

/** The inputs that a codec takes beside the teacher's, as the device's worker feeds them. */
export function feedsOf(kind: TargetOf): Record<string, FeedSpec> {
  const width = isBucketed(kind.codec) ? headOf(kind) : 0
  return {
    label: { name: 'label', dtype: 'int32', shape: [] },
    uniforms: { name: 'uniforms', dtype: 'float32', shape: [kind.positions ?? 1, width] },
  }
}

const isBucketed = (codec: CodecName) => codecOf(codec).kind === 'bucketed'

/** Classes in the head of a bucketed codec. */
function headOf({ codec, classes, positions }: TargetOf): number {
  const columns = codecOf(codec).columns(targetKind({ classes, positions }))
  return columns.find(({ name }) => name === 'index')!.width
}
