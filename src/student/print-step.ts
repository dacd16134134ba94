import type { Targets } from '../cache/index.js'
import type { Engine } from '../engine/engine.js'
import { DecantError } from '../errors.js'
import type { Source } from '../source/index.js'
import { completeConfig, defaults, type StudentConfig } from './config.js'
import { loadDataset } from './dataset.js'
import { findMethod } from './method.js'
import { openRun } from './run.js'

/**
 * The training step of a student as its engine runs it, as readable text: a line a node, gradients and optimizer included.
 * @throws DecantError where the engine has no graph of it
 */
export async function printStep(options: {
  targets: Targets
  source?: Source | undefined
  engine: Engine
  config: Partial<StudentConfig>
}): Promise<string> {
  const { targets, source, engine } = options
  const method = await findMethod(options.config.method ?? defaults.method)
  const config = await completeConfig(options.config, { evaluated: true, method })
  const run = await openRun({ config, method, dataset: await loadDataset({ targets, source }), engine })
  try {
    if (run.program.print) return run.program.print()
    throw new DecantError(
      `engine ${engine.name} runs the step kernel by kernel and has no graph to print; engine onnx has`,
    )
  } finally {
    await run.dispose()
  }
}
