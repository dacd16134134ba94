import { FormatError } from '../../errors.js'
import type { ImageShape } from './augmentation.js'
import { createApply, faultOf, PIPELINE_VERSION, parseAugment, type ViewPipeline } from './pipeline.js'

/** What makes the views of a dataset, as its manifest records it under `views`. */
export interface ViewsPlan {
  /** V, views of each sample. */
  count: number
  /** Names of the P integers of one view. */
  parameters: string[]
  /** `pipeline`: version of drawing and applying; `list`: the augmentations with every argument written out, `crop:4,flip`. */
  augment: { pipeline: number; list: string }
  seed: number
}

export const planViews = ({ augment, parameters }: ViewPipeline, count: number, seed: number): ViewsPlan => ({
  count,
  parameters,
  augment: { pipeline: PIPELINE_VERSION, list: augment },
  seed,
})

/**
 * The pipeline that made a dataset's views, from what its manifest says, which may come from anyone.
 * @throws FormatError where this decant does not make the same views: another version, unknown augmentations, other parameters
 */
export function openViews(
  views: { parameters: string[]; augment: object },
  { shape, where }: { shape: ImageShape; where: string },
): ViewPipeline {
  const { pipeline: version, list, ...others } = views.augment as Record<string, unknown>
  if (version !== PIPELINE_VERSION)
    throw new FormatError(
      `${where}: views of pipeline version ${JSON.stringify(version)}, expected ${PIPELINE_VERSION}; a newer decant may replay them`,
    )
  const extra = Object.keys(others)[0]
  if (typeof list !== 'string' || extra !== undefined)
    throw new FormatError(`${where}: views.augment: expected {pipeline, list}, found ${extra ?? typeof list}`)
  let pipeline: ViewPipeline
  try {
    pipeline = parseAugment(list, shape)
  } catch (error) {
    throw new FormatError(`${where}: ${(error as Error).message}`, { cause: error })
  }
  if (pipeline.parameters.join() !== views.parameters.join())
    throw new FormatError(
      `${where}: views.parameters: expected ${pipeline.parameters.join(', ')}, found ${views.parameters.join(', ')}`,
    )
  return pipeline
}

/** One row's view of its sample. */
export interface Replay {
  pixels: Uint8Array
  /** the parameters as the dataset has them */
  p: ArrayLike<number>
  into: Uint8Array
  /** what an error calls the row */
  name: () => string
}

/**
 * Makes the function that writes a row's view again. Nothing is drawn: the dataset's own parameters are applied, and checked first.
 * @throws FormatError as {@link openViews}; the function, naming the row, where its parameters are none that could have been drawn
 */
export function createReplay(
  views: Pick<ViewsPlan, 'parameters'> & { augment: object },
  options: { shape: ImageShape; where: string },
): (row: Replay) => void {
  const pipeline = openViews(views, options)
  const apply = createApply(pipeline)
  return ({ pixels, p, into, name }) => {
    const fault = faultOf(pipeline, p)
    if (fault !== undefined) throw new FormatError(`${name()}: ${fault}`)
    apply(pixels, p, into)
  }
}
