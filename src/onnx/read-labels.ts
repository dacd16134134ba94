import { create } from '@bufbuild/protobuf'
import { type ModelProto, OperatorSetIdProtoSchema } from 'onnx-buf'
import { opsetOf } from './describe-model.js'
import { builtNodes, pruneGraph } from './edit-graph.js'
import { emitCast, requireOpset } from './emit-ops.js'
import type { LabelOutput } from './find-classes.js'
import { GraphBuilder, makeValueInfo } from './graph-builder.js'
import type { EditedModel } from './read-output.js'
import { copyWith, valueNames } from './walk-graph.js'

const ML = 'ai.onnx.ml'

/**
 * A copy of a model whose only output is one that gives classes, as float32 [N, 1]: an integer as it is, a text as its place among the output's labels, or
 * -1 where it is none of them.
 */
export function readLabels(proto: ModelProto, { name, dtype, labels }: LabelOutput): EditedModel {
  const graph = proto.graph!
  const builder = new GraphBuilder({ prefix: 'decant/', taken: valueNames(graph) })
  const emit = { builder, opset: requireOpset(proto, 'the teacher') }
  const [version, texts] = [opsetOf(proto, ML) || 2, (labels ?? []).map(String)]
  // the first version has one list for both directions
  const table =
    version === 1
      ? { classes_strings: { strings: texts } }
      : { keys_strings: { strings: texts }, values_int64s: [...texts.keys()] }
  const encoder = { ...table, default_int64: -1 }
  const number = dtype === 'string' ? builder.node('LabelEncoder', [name], encoder, { domain: ML }) : name
  const column = builder.node('Reshape', [emitCast(emit, number, 'float32'), builder.i64([-1, 1])])
  const edited = copyWith(graph, {
    node: [...graph.node, ...builtNodes(builder)],
    output: [makeValueInfo(column, 'float32', [null, 1])],
  })
  const added =
    opsetOf(proto, ML) > 0 ? [] : [create(OperatorSetIdProtoSchema, { domain: ML, version: BigInt(version) })]
  return {
    proto: copyWith(proto, { graph: pruneGraph(edited), opsetImport: [...proto.opsetImport, ...added] }),
    output: column,
    classes: 1,
  }
}
