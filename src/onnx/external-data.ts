import { realpath, stat } from 'node:fs/promises'
import { dirname, isAbsolute, join, posix, relative, win32 } from 'node:path'
import { type ModelProto, type TensorProto, TensorProto_DataLocation } from 'onnx-buf'
import { FormatError } from '../errors.js'
import { encodeModel } from './graph-builder.js'
import { copyWith, mapTensors, tensorsOf } from './walk-graph.js'

/** Files beside the model that hold weights (onnx.proto3, `TensorProto.external_data`). */
export interface ExternalData {
  /** The real folder that holds all of them. */
  folder: string
  /** Path within `folder` by `location`, as the tensors give it. */
  files: ReadonlyMap<string, string>
}

export interface SessionSource {
  model: Uint8Array
  options: { extra?: Record<string, string> }
}

export const isExternal = (tensor: TensorProto): boolean => tensor.dataLocation === TensorProto_DataLocation.EXTERNAL

/**
 * Finds the files that the model's tensors point to and checks each: inside the model's folder, there, and long enough.
 * Hugging Face's cache links model and weights into another folder, so the real model's folder is allowed as well.
 */
export async function findExternalData(path: string, proto: ModelProto): Promise<ExternalData | undefined> {
  const tensors = tensorsOf(proto).filter(isExternal)
  if (tensors.length === 0) return undefined
  const real = new Map<string, { path: string; size: number }>()
  for (const tensor of tensors) {
    const { location, end } = readEntries(path, tensor)
    if (!real.has(location)) real.set(location, await resolveFile(path, location))
    const { size } = real.get(location)!
    if (end > size) {
      throw new FormatError(
        `${join(dirname(path), location)}: tensor '${tensor.name}' of ${path} ends at byte ${end}, the file has ${size}`,
      )
    }
  }
  for (const folder of [await realpath(dirname(path)), dirname(await realpath(path))]) {
    const files = new Map([...real].map(([location, file]) => [location, relative(folder, file.path)]))
    if ([...files.values()].every(isInside)) return { folder, files }
  }
  const locations = [...real.keys()].map((location) => `'${location}'`).join(', ')
  throw new FormatError(
    `${path}: its external data must lie in the model's own folder, found links out of it: ${locations}`,
  )
}

/**
 * What `InferenceSession.create` needs to run `proto`, an edited copy of `model.proto`. Weights in external files stay
 * there: ONNX Runtime maps them from the folder that the option names, since a model given as bytes has no place itself.
 */
export function sessionSource(model: { external?: ExternalData }, proto: ModelProto): SessionSource {
  const external = model.external
  if (!external || !tensorsOf(proto).some(isExternal)) return { model: encodeModel(proto), options: {} }
  const relocated = mapTensors(proto, (tensor) => {
    if (!isExternal(tensor)) return tensor
    const externalData = tensor.externalData.map((entry) =>
      entry.key === 'location' ? copyWith(entry, { value: external.files.get(entry.value) ?? entry.value }) : entry,
    )
    return copyWith(tensor, { externalData })
  })
  return {
    model: encodeModel(relocated),
    options: { extra: { 'session.model_external_initializers_file_folder_path': external.folder } },
  }
}

function readEntries(path: string, tensor: TensorProto): { location: string; end: number } {
  const entries = new Map(tensor.externalData.map(({ key, value }) => [key, value]))
  const location = entries.get('location') ?? ''
  const number = (key: string) => {
    const text = entries.get(key) ?? '0'
    if (/^\d{1,15}$/.test(text)) return Number(text)
    throw new FormatError(`${path}: tensor '${tensor.name}': expected a number of bytes as ${key}, found '${text}'`)
  }
  if (!isInside(location)) {
    throw new FormatError(
      `${path}: tensor '${tensor.name}': expected its external data in the model's own folder, found '${location}'`,
    )
  }
  return { location, end: number('offset') + number('length') }
}

/** Relative, and without a step up: by the rules of this system and of Windows, whichever the model was made on. */
function isInside(location: string): boolean {
  if (location === '' || location.includes('\0')) return false
  if (isAbsolute(location) || posix.isAbsolute(location) || win32.isAbsolute(location)) return false
  return !/^[a-z]:/i.test(location) && !location.split(/[\\/]/).includes('..')
}

async function resolveFile(path: string, location: string): Promise<{ path: string; size: number }> {
  const file = join(dirname(path), location)
  const found = await stat(file).catch(() => undefined)
  if (!found?.isFile())
    throw new FormatError(`${path}: its external data '${location}' is missing: no such file ${file}`)
  return { path: await realpath(file), size: found.size }
}
