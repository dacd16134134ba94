import { resolve } from 'node:path'
import { DecantError } from '../errors.js'
import type { RetryOptions } from './retry.js'
import type { Store } from './store.js'

/** Where a dataset lies, and the one manifest that it must have there. */
export type Place = (
  | { kind: 'folder'; path: string }
  /** `url` ends in '/' and has neither credentials nor a query. */
  | { kind: 'http'; url: string }
  /** `prefix` is '' or ends in '/'. */
  | { kind: 's3'; bucket: string; prefix: string }
  /** `repo` is `org/name`; `prefix`, within the repository, is '' or ends in '/'. */
  | { kind: 'hub'; repo: string; prefix: string; revision?: string }
) & {
  /** SHA-256 of manifest.json, where the place is pinned: `uri#sha256=…`. */
  sha256?: string
}

export const PLACES = 'a folder, https://…, s3://bucket/prefix or hf://datasets/org/name'

/**
 * Reads `path`, `https://host/path`, `s3://bucket/prefix` or `hf://datasets/org/name[@revision][/path]`, each with `#sha256=…` behind it to pin
 * the manifest.
 * @param options.revision of a hub's repository: a branch, tag or commit
 * @throws DecantError for anything else; no message holds a password
 */
export function parsePlace(text: string, options: { revision?: string } = {}): Place {
  // the schemes of SDKs have no place for a name and a password (which may hold slashes), so none is read; messages quote what is left
  const { rest, sha256 } = splitPin(text.replace(/^((?:s3|hf):\/\/)(?:[^/@]*|[^/@:]*:[^@]*)@/i, '$1…@'))
  const place = parseBare(rest, options.revision)
  if (options.revision !== undefined && place.kind !== 'hub')
    throw new DecantError(`${formatPlace(place)}: only hf:// has revisions; pin the manifest with #sha256=… instead`)
  return sha256 === undefined ? place : { ...place, sha256 }
}

/** Whether a text names a place other than a folder of this machine. */
export const isRemote = (text: string): boolean => schemeOf(text) !== undefined

/** The place as a user writes it, the pin with it. It never holds a credential, as a place never does. */
export function formatPlace(place: Place): string {
  return `${formatBare(place)}${place.sha256 === undefined ? '' : `#sha256=${place.sha256}`}`
}

export interface OpenStoreOptions {
  retry?: RetryOptions
  /** a connection on which next to nothing comes for this long is given up; default 60 s */
  idleMs?: number
  /** where credentials are looked for; default: process.env */
  env?: NodeJS.ProcessEnv
}

/** Opens a place for reading and writing. What a store needs (an SDK, a hub's client) is loaded only for its own kind. */
export async function openStore(place: Place, options: OpenStoreOptions = {}): Promise<Store> {
  switch (place.kind) {
    case 'folder': {
      const { openFolderStore } = await import('./stores/folder.js')
      return openFolderStore(place.path)
    }
    case 'http': {
      const { openHttpStore } = await import('./stores/http.js')
      const { netrcAuthorization } = await import('./netrc.js')
      const authorization = await netrcAuthorization(place.url, options.env)
      return openHttpStore(place.url, { ...options, ...(authorization !== undefined && { authorization }) })
    }
    case 's3': {
      const { openS3Store } = await import('./stores/s3.js')
      return openS3Store(place, options)
    }
    case 'hub': {
      const { openHubStore } = await import('./stores/hub.js')
      return openHubStore(place, options)
    }
  }
}

const PIN = '#sha256='

function splitPin(text: string): { rest: string; sha256?: string } {
  const at = text.lastIndexOf(PIN)
  if (at < 0) return { rest: text }
  const sha256 = text.slice(at + PIN.length).toLowerCase()
  if (!/^[0-9a-f]{64}$/.test(sha256))
    throw new DecantError(`#sha256=: expected the 64 hexadecimal digits of a manifest's SHA-256, found '${sha256}'`)
  return { rest: text.slice(0, at), sha256 }
}

/** One letter before the colon is a drive of Windows. */
const schemeOf = (text: string): string | undefined => /^([a-z][a-z0-9+.-]+):\/\//i.exec(text)?.[1]?.toLowerCase()

function parseBare(text: string, revision: string | undefined): Place {
  switch (schemeOf(text)) {
    case undefined:
      if (text === '') throw new DecantError(`expected ${PLACES}, found nothing`)
      return { kind: 'folder', path: text }
    case 'http':
    case 'https':
      return parseHttp(text)
    case 's3':
      return parseS3(text)
    case 'hf':
      return parseHub(text, revision)
    case 'file':
      throw new DecantError(`${text}: give the path itself, without file://`)
    default:
      throw new DecantError(`'${schemeOf(text)}://' is not known: expected ${PLACES}`)
  }
}

function parseHttp(text: string): Place {
  if (!URL.canParse(text))
    throw new DecantError('expected a URL such as https://host/path, found one that cannot be read')
  const url = new URL(text)
  const bare = `${url.origin}${url.pathname}`
  if (url.username !== '' || url.password !== '')
    throw new DecantError(
      `${bare}: a URL with a password is seen by everyone on the machine: leave it out, ~/.netrc has it`,
    )
  if (url.search !== '' || url.hash !== '')
    throw new DecantError(`${bare}: expected the URL of a dataset's folder, found a query or a fragment behind it`)
  return { kind: 'http', url: bare.endsWith('/') ? bare : `${bare}/` }
}

function parseS3(text: string): Place {
  const [, bucket, path = ''] = /^s3:\/\/([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?:\/(.*))?$/.exec(text) ?? []
  if (bucket === undefined) throw new DecantError(`${text}: expected s3://bucket/prefix`)
  return { kind: 's3', bucket, prefix: parsePrefix(text, path) }
}

function parseHub(text: string, given: string | undefined): Place {
  const match = /^hf:\/\/datasets\/([\w-][\w.-]*\/[\w-][\w.-]*?)(?:@([^/]+))?(?:\/(.*))?$/.exec(text)
  const [, repo, at, path = ''] = match ?? []
  if (repo === undefined) throw new DecantError(`${text}: expected hf://datasets/org/name`)
  const written = at === undefined ? undefined : decode(at) // a slash in a branch's name is %2F
  if (written !== undefined && given !== undefined && written !== given)
    throw new DecantError(`${text}: says revision ${written}, and --revision says ${given}`)
  const revision = given ?? written
  if (revision !== undefined && !/^[\w][\w./-]{0,249}$/.test(revision))
    throw new DecantError(`${text}: expected a branch, a tag or a commit, found revision '${revision}'`)
  return { kind: 'hub', repo, prefix: parsePrefix(text, path), ...(revision !== undefined && { revision }) }
}

/** What is no percent-encoding stays as it is. */
function decode(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

function parsePrefix(text: string, path: string): string {
  const parts = path.split('/').filter((part) => part !== '')
  if (parts.some((part) => part === '.' || part === '..')) throw new DecantError(`${text}: expected no . or .. in it`)
  return parts.map((part) => `${part}/`).join('')
}

function formatBare(place: Place): string {
  switch (place.kind) {
    case 'folder':
      return place.path
    case 'http':
      return place.url.replace(/\/$/, '')
    case 's3':
      return `s3://${place.bucket}/${place.prefix}`.replace(/\/$/, '')
    case 'hub': {
      const revision = place.revision === undefined ? '' : `@${place.revision.replaceAll('/', '%2F')}`
      return `hf://datasets/${place.repo}${revision}/${place.prefix}`.replace(/\/$/, '')
    }
  }
}

/** What a folder made of a pulled dataset is called where nothing is said: the last word of its place. */
export function nameOf(place: Place): string {
  if (place.kind === 'folder') return resolve(place.path).split(/[\\/]/).at(-1)!
  const { revision: _, ...bare } = place as Extract<Place, { kind: 'hub' }>
  const last = formatBare(bare).split('/').at(-1)!
  const name = decode(last).replace(/[^\w.-]/g, '-')
  return /^\.*$/.test(name) ? 'targets' : name
}
