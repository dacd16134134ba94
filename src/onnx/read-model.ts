import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { join } from 'node:path'
import { fromBinary } from '@bufbuild/protobuf'
import { type ModelProto, ModelProtoSchema } from 'onnx-buf'
import { DecantError, FormatError } from '../errors.js'
import { readInput } from '../input-file.js'
import { findEnvelopeFault } from './check-envelope.js'
import { findTensorFault } from './check-tensor.js'
import { withDefaultOpset } from './default-opset.js'
import { type ExternalData, findExternalData } from './external-data.js'
import { tensorsOf } from './walk-graph.js'

export interface Model {
  proto: ModelProto
  /** Where it was read from; absent for a model that was built here. */
  path?: string
  /** Size on disk, external data included. */
  bytes: number
  /** sha256, hex, of the file; with external data, of the file followed by its data files in order of location. */
  sha256: string
  /** Weights that lie in files of their own. */
  external?: ExternalData
}

/** A protobuf message cannot be larger; larger models keep their weights in external files. */
const maxModelBytes = 2 ** 31 - 1

/**
 * Reads an ONNX file; a model without a default operator set gets one. Weights in external files are checked and hashed, but not kept in memory.
 * Throws DecantError where there is no such file, FormatError for what is not ONNX, is truncated or contradicts itself.
 */
export async function readModel(path: string): Promise<Model> {
  const { data, proto } = await readChecked(path)
  const external = await findExternalData(path, proto)
  const hash = createHash('sha256').update(data)
  let bytes = data.length
  for (const location of [...(external?.files.keys() ?? [])].sort()) {
    const file = join(external!.folder, external!.files.get(location)!)
    for await (const chunk of createReadStream(file, { highWaterMark: 1 << 20 }) as AsyncIterable<Buffer>) {
      hash.update(chunk)
      bytes += chunk.length
    }
  }
  return { proto, path, bytes, sha256: hash.digest('hex'), ...(external && { external }) }
}

/** The graph alone, as {@link readModel} reads it: weights in external files are neither checked nor hashed. */
export const readProto = async (path: string): Promise<ModelProto> => (await readChecked(path)).proto

async function readChecked(path: string): Promise<{ data: Uint8Array; proto: ModelProto }> {
  const data = await readAll(path)
  const fault = findEnvelopeFault(data)
  if (fault) throw new FormatError(`${path}: ${fault}`)
  const proto = decode(path, data)
  for (const tensor of tensorsOf(proto)) {
    const wrong = findTensorFault(tensor)
    if (wrong) throw new FormatError(`${path}: tensor '${tensor.name}': ${wrong}`)
  }
  return { data, proto }
}

async function readAll(path: string): Promise<Uint8Array<ArrayBuffer>> {
  try {
    return (await readInput(path, maxModelBytes)) as Uint8Array<ArrayBuffer>
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code
    if (code === 'ENOENT') throw new DecantError(`${path}: no such file`)
    if (code) throw new DecantError(`${path}: cannot be read (${code})`)
    throw error
  }
}

function decode(path: string, data: Uint8Array): ModelProto {
  let proto: ModelProto
  try {
    proto = fromBinary(ModelProtoSchema, data)
  } catch (error) {
    throw new FormatError(`${path}: no valid ONNX file: ${(error as Error).message}`)
  }
  const { graph } = proto
  if (proto.irVersion < 1n)
    throw new FormatError(`${path}: no ONNX model: expected an IR version from 1 on, found none`)
  if (!graph || graph.output.length === 0) throw new FormatError(`${path}: no ONNX model: its graph has no outputs`)
  if (!proto.opsetImport.some(({ version }) => version > 0n)) {
    throw new FormatError(`${path}: no ONNX model: it names no version of an operator set`)
  }
  const unnamed = graph.node.find((node) => node.opType === '')
  if (unnamed) throw new FormatError(`${path}: no ONNX model: the node of '${unnamed.output[0]}' names no operator`)
  return withDefaultOpset(proto, path)
}
