import { create } from '@bufbuild/protobuf'
import { type ModelProto, OperatorSetIdProtoSchema } from 'onnx-buf'
import { FormatError } from '../errors.js'
import { opsetOf } from './describe-model.js'
import { copyWith, graphsOf } from './walk-graph.js'

/**
 * The newest default operator set of each IR version, as ONNX's docs/Versioning.md pairs them under "Released versions". ONNX Runtime 1.30
 * takes none of a later IR version than 13, nor a later operator set than 26.
 */
const newest = new Map([
  [4, 9],
  [5, 10],
  [6, 11],
  [7, 14],
  [8, 18],
  [9, 20],
  [10, 22],
  [11, 23],
  [12, 24],
  [13, 26],
])
/** IR version 3 was the first to have operator sets, and this the last one of it. */
const [oldest, latest] = [8, 26]

/**
 * A model of ai.onnx.ml alone, as CatBoost and XGBoost write it, need not import the default operator set; what is put around it is written in that, so
 * a copy imports the one that its IR version came with. Throws FormatError where the model has nodes of a default operator set that it does not import.
 */
export function withDefaultOpset(proto: ModelProto, path: string): ModelProto {
  if (opsetOf(proto) > 0) return proto
  const nodes = graphsOf(proto.graph!).flatMap(({ node }) => node)
  const own = nodes.find(({ domain }) => domain === '' || domain === 'ai.onnx')
  if (own)
    throw new FormatError(
      `${path}: it has ${own.opType} of the default operator set, and does not say which version of that: export it again with a newer converter`,
    )
  const ir = Number(proto.irVersion)
  const version = newest.get(ir) ?? (ir < 4 ? oldest : latest)
  const opset = create(OperatorSetIdProtoSchema, { domain: '', version: BigInt(version) })
  return copyWith(proto, { opsetImport: [...proto.opsetImport, opset] })
}
