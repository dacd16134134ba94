import type { LayersModel } from '@tensorflow/tfjs-layers'
import { DecantError } from '../errors.js'
import { checkLayers } from './check-layers.js'
import { findModule, isPath } from './module.js'
import { type MakeStudent, type StudentOptions, tfjsSeed, zooStudent } from './zoo.js'

/** Checks the specification of a student without building it: a form of the zoo, or the path of a module that exports a function. */
export async function findStudent(specification: string): Promise<MakeStudent> {
  if (!isPath(specification)) return zooStudent(specification)
  const make = await findModule(specification)
  if (typeof make === 'function') return make as MakeStudent
  throw new DecantError(`module ${specification}: expected a function as default export`)
}

/**
 * Builds a student with weights drawn from the seed.
 * @throws DecantError where a user's module gives something else than a model from [N, ...input] to [N, classes], or by position to [N, positions, classes]
 */
export async function buildStudent(
  specification: string,
  options: Omit<StudentOptions, 'inputShape'>,
): Promise<LayersModel> {
  const make = await findStudent(specification)
  const model = await make({ ...options, inputShape: options.input.shape, seed: tfjsSeed(options.seed, 'student') })
  const { input, positions, classes } = options
  checkShape(specification, 'input', model?.inputs?.[0]?.shape, input.shape)
  checkShape(specification, 'output', model.outputs[0]?.shape, positions === 1 ? [classes] : [positions, classes])
  checkLayers(specification, model)
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
