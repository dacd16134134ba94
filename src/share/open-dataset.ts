import { createHash } from 'node:crypto'
import { type DatasetFiles, folderFiles, MANIFEST, openTargets, type Targets } from '../cache/index.js'
import { MismatchError } from '../errors.js'
import { type CacheOptions, openBlockCache } from './block-cache.js'
import { remoteFiles } from './remote-files.js'
import type { RetryOptions } from './retry.js'
import { openStore, parsePlace } from './uri.js'

export interface OpenOptions {
  /** of a hub's repository: a branch, tag or commit */
  revision?: string
  /** Where blocks of remote datasets are kept, and how many. */
  cache?: CacheOptions
  retry?: RetryOptions
  signal?: AbortSignal
}

/**
 * Opens a soft-target dataset wherever it lies: `path`, `https://…`, `s3://…`, `hf://datasets/…`, each with `#sha256=…` behind it to accept one
 * manifest only. A folder is read in place; of a remote dataset only what is asked for is read, by ranges, through a cache on disk.
 * @throws what `openTargets` throws; MismatchError where the manifest is not the one that the place is pinned to, or a file changes while it is read
 */
export async function openDataset(place: string, options: OpenOptions = {}): Promise<Targets> {
  return openTargets(await datasetFiles(place, options))
}

/** The files of a dataset, for those who open it themselves. */
export async function datasetFiles(text: string, options: OpenOptions = {}): Promise<DatasetFiles> {
  const { revision, retry, signal } = options
  const place = parsePlace(text, revision === undefined ? {} : { revision })
  const files =
    place.kind === 'folder'
      ? folderFiles(place.path)
      : remoteFiles(await openStore(place, retry ? { retry } : {}), {
          cache: openBlockCache(options.cache),
          signal,
          ...(retry && { retry }),
        })
  return place.sha256 === undefined ? files : pin(files, place.sha256)
}

function pin(files: DatasetFiles, sha256: string): DatasetFiles {
  return {
    ...files,
    async manifest() {
      const bytes = await files.manifest()
      const found = createHash('sha256').update(bytes).digest('hex')
      if (found !== sha256)
        throw new MismatchError(`${files.path(MANIFEST)}: another dataset than the one that is asked for:`, [
          `SHA-256: expected ${sha256}, found ${found}`,
        ])
      return bytes
    },
  }
}
