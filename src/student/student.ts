import type { LayersModel, SymbolicTensor } from '@tensorflow/tfjs-layers'
import { DecantError } from '../errors.js'
import { checkLayers } from './check-layers.js'
import { checkLogits } from './check-logits.js'
import { findModule, isPath } from './module.js'
import { askUser } from './user-error.js'
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
  const { input, positions, classes } = options
  const seed = tfjsSeed(options.seed, 'student')
  const model = await askUser([specification], () => make({ ...options, inputShape: input.shape, seed }))
  checkShape(specification, 'input', model?.inputs, input.shape)
  checkShape(specification, 'output', model.outputs, positions === 1 ? [classes] : [positions, classes])
  checkLayers(specification, model)
  if (isPath(specification)) await askUser([specification], () => checkLogits(specification, model, input))
  return model
}

function checkShape(specification: string, what: string, found: SymbolicTensor[] | undefined, shape: number[]): void {
  const show = (shape: (number | null)[]) => `[${['N', ...shape].join(', ')}]`
  const fail = (message: string) => new DecantError(`student ${specification}: ${message}`)
  if (!found) throw fail('its function did not return a tfjs LayersModel')
  const rests = found.map((tensor) => tensor.shape.slice(1))
  const [rest = []] = rests
  if (rests.length === 1 && rest.length === shape.length && rest.every((n, i) => n === null || n === shape[i])) return
  throw fail(`${what} expected ${show(shape)}, found ${rests.map(show).join(' and ')}`)
}
