import { isThrownByTfjs, layerOf, userFrame } from '../engine/user-frame.js'
import { DecantError } from '../errors.js'
import { isPath } from './module.js'

/** tfjs nests deep: ten frames, as usual, would hold no user code. */
const FRAMES = 100

/**
 * Runs what a student and a method of the user's own are asked for. What they throw, or what tfjs throws at them, is no bug of decant: it is told in one
 * line, with the user's own where there is one. Of students and methods that decant knows itself nothing is taken for the user's.
 * @param specifications of the student, and of the method
 */
export async function askUser<T>(specifications: string[], work: () => T | Promise<T>): Promise<T> {
  const modules = specifications.filter(isPath)
  if (modules.length === 0) return work()
  const { stackTraceLimit } = Error
  Error.stackTraceLimit = FRAMES
  try {
    return await work()
  } catch (error) {
    throw explain(error, modules.join(' with '))
  } finally {
    Error.stackTraceLimit = stackTraceLimit
  }
}

function explain(error: unknown, modules: string): unknown {
  if (error instanceof DecantError) return error
  if (!(error instanceof Error)) return new DecantError(`module ${modules}: it threw ${String(error)}`)
  const { stack, cause = error } = error
  const said = error.message.split('\n')[0]!
  const place = userFrame(stack)
  if (place) return new DecantError(`module ${modules}: ${said}, ${place}`, { cause })
  const layer = layerOf(stack)
  const limit = layer ? `tfjs's layer ${layer} cannot do this` : 'tfjs cannot do this'
  return isThrownByTfjs(stack) ? new DecantError(`module ${modules}: ${limit}: ${said}`, { cause }) : error
}
