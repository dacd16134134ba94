import type { LayersModel } from '@tensorflow/tfjs-layers'
import type { StudentConfig } from './config.js'
import type { Dataset } from './dataset.js'
import { findTaps, shapesOf, type Taps } from './forward.js'
import type { Attachment, Method } from './method.js'
import { tfjsSeed } from './zoo.js'

/** Where the config's method looks into a student, and what it has beside it. @throws DecantError where the student does not have it */
export function attach(
  model: LayersModel,
  { config, method, dataset }: { config: StudentConfig; method: Method; dataset: Dataset },
): { taps: Taps | undefined; attached: Attachment } {
  const taps = findTaps(model, { student: config.student, method })
  const attached = method.attach?.({
    shapes: shapesOf(taps),
    dataset: { ...dataset, rows: dataset.rows * dataset.positions },
    seed: tfjsSeed(config.seed, 'branches'),
    parameters: config.parameters,
  })
  return { taps, attached: { branches: [], memory: [], ...attached } }
}
