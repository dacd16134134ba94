import { type DatasetFiles, folderFiles, openTargets, type Targets } from '../cache/index.js'

export interface OpenOptions {
  signal?: AbortSignal
}

/**
 * Opens a soft-target dataset wherever it lies. A folder is read in place; of a URI only what is asked for is read, by ranges.
 * @throws what `openTargets` throws
 */
export async function openDataset(place: string, options: OpenOptions = {}): Promise<Targets> {
  return openTargets(await datasetFiles(place, options))
}

/** The files of a dataset, for those who open it themselves. */
export async function datasetFiles(place: string, _options: OpenOptions = {}): Promise<DatasetFiles> {
  return folderFiles(place)
}
