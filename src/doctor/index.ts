import { checkDriver, checkLibraries } from './check-cuda.js'
import { checkCores, checkDisk, checkMemory, checkNode } from './check-machine.js'
import { checkEngines, checkProviders, checkSharp, checkTokenizers } from './check-runtime.js'
import type { Finding } from './finding.js'
import type { System } from './system.js'

export { type Finding, isSound } from './finding.js'
export { type System, thisSystem } from './system.js'

/** Looks at the machine, one finding after another; what is timed has the machine for itself. `folders`: where decant writes, by what. */
export async function* examine(system: System, folders: Record<string, string>): AsyncGenerator<Finding> {
  yield checkNode(system)
  yield checkCores(system)
  yield checkMemory(system)
  yield* await checkDisk(system, folders)
  yield await checkDriver(system)
  yield await checkLibraries(system)
  yield* checkProviders(system)
  yield* checkEngines(system)
  yield await checkSharp(system)
  yield await checkTokenizers(system)
}
