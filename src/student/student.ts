import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { LayersModel } from '@tensorflow/tfjs-layers'
import { DecantError } from '../errors.js'
import { type MakeStudent, type StudentOptions, tfjsSeed, zooStudent } from './zoo.js'

const isPath = (specification: string) => /^[./]|\.[cm]?[jt]s$/.test(specification)

/** Checks the specification of a student without building it: a form of the zoo, or the path of a module that exports a function. */
export async function findStudent(specification: string): Promise<MakeStudent> {
  return isPath(specification) ? ((await importDefault(specification)) as MakeStudent) : zooStudent(specification)
}

/** What identifies the code of a user's module; undefined for the zoo. */
export async function studentSource(specification: string): Promise<string | undefined> {
  if (!isPath(specification)) return undefined
  const bytes = await readFile(specification).catch((error: Error) => {
    throw new DecantError(`student ${specification}: ${error.message}`)
  })
  return createHash('sha256').update(bytes).digest('hex')
}

/**
 * Builds a student with weights drawn from the seed.
 * @throws DecantError where a user's module gives something else than a model from [N, H, W, C] to [N, classes]
 */
export async function buildStudent(specification: string, options: StudentOptions): Promise<LayersModel> {
  const make = await findStudent(specification)
  const model = await make({ ...options, seed: tfjsSeed(options.seed, 'student') })
  const { inputShape, classes } = options
  checkShape(specification, 'input', model?.inputs?.[0]?.shape, inputShape)
  checkShape(specification, 'output', model.outputs[0]?.shape, [classes])
  return model
}

function checkShape(specification: string, what: string, found: (number | null)[] | undefined, shape: number[]): void {
  const show = (shape: (number | null)[]) => `[${['N', ...shape].join(', ')}]`
  if (!found) throw new DecantError(`student ${specification}: its function did not return a tfjs LayersModel`)
  const rest = found.slice(1)
  if (rest.length !== shape.length || rest.some((n, i) => n !== null && n !== shape[i])) {
    throw new DecantError(`student ${specification}: ${what} expected ${show(shape)}, found ${show(rest)}`)
  }
}

/** The default export of a module of the user's; TypeScript too, where Node itself does not read it. */
async function importDefault(path: string): Promise<(...args: never[]) => unknown> {
  const url = pathToFileURL(resolve(path)).href
  let module: { default?: unknown }
  try {
    module = await import(url)
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    if (code !== 'ERR_UNKNOWN_FILE_EXTENSION') throw new DecantError(`module ${path}: ${message}`)
    const { tsImport } = await import('tsx/esm/api')
    module = await tsImport(url, import.meta.url)
  }
  // A module that Node takes for CommonJS (no "type": "module" near it) has its exports in `default`, the default among them.
  const { default: outer } = module
  const found = typeof outer === 'object' && outer !== null && 'default' in outer ? outer.default : outer
  if (typeof found !== 'function') throw new DecantError(`module ${path}: expected a function as default export`)
  return found as (...args: never[]) => unknown
}
