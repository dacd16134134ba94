import { DecantError, MismatchError } from '../../errors.js'
import { hubToken } from '../credentials.js'
import { createHttpClient } from '../http-client.js'
import type { RetryOptions } from '../retry.js'
import { type Content, checkName, type Store, type StoredFile, type Transfer } from '../store.js'
import { ContentBlob } from './content-blob.js'
import { openHttpStore } from './http.js'
import { explainUpload, findCommit, findFile, type Hub, listTree, loadHubPackage, uploadFetch } from './hub-client.js'

export interface HubStoreOptions {
  retry?: RetryOptions
  idleMs?: number
  env?: NodeJS.ProcessEnv
}

/** Files of one commit: what the hub's guide advises, and what is not sent again after a kill is whole commits and whole files. */
const COMMIT_FILES = 100

/**
 * A dataset repository of the Hugging Face hub (HF_ENDPOINT). What is read is read at one commit, the one that the revision was when it
 * was first asked for, so that nothing changes under a reader. What is written is collected and committed by `flush`; large files that a push
 * has sent before it was killed the hub has already, by hash. A repository that is not there is made, private: who owns the data opens it.
 */
export async function openHubStore(
  place: { repo: string; prefix: string; revision?: string },
  { retry = {}, idleMs, env = process.env }: HubStoreOptions = {},
): Promise<Store> {
  const { repo, prefix, revision = 'main' } = place
  const uri = `hf://datasets/${repo}${place.revision ? `@${revision.replaceAll('/', '%2F')}` : ''}/${prefix}`.replace(
    /\/$/,
    '',
  )
  const endpoint = checkEndpoint(env.HF_ENDPOINT || 'https://huggingface.co')
  const token = await hubToken(env)
  const client = createHttpClient({ idleMs, env })
  const hub: Hub = { client, endpoint, repo, token, uri, retry }
  const known = new Map<string, StoredFile>()
  const pending = new Map<string, Writing>()
  const deleted = new Set<string>()
  let commit: Promise<string | undefined> | undefined

  /** Once; again after a failure. */
  const commitAt = (signal?: AbortSignal) => {
    commit ??= findCommit(hub, revision, signal).catch((error) => {
      commit = undefined
      throw error
    })
    return commit
  }

  async function head(name: string, signal?: AbortSignal): Promise<StoredFile | undefined> {
    const path = prefix + checkName(name)
    const at = await commitAt(signal)
    if (at === undefined) return undefined
    const found = known.get(name) ?? (await findFile(hub, { commit: at, path, prefix, signal }))
    if (found) known.set(name, found)
    return found
  }

  return {
    uri,
    head,

    async list(signal) {
      const at = await commitAt(signal)
      const files = at === undefined ? [] : await listTree(hub, { commit: at, prefix, signal })
      for (const file of files) known.set(file.name, file)
      return files
    },

    async *read(name, { from, to, etag }, transfer = {}) {
      const at = await commitAt(transfer.signal)
      if (etag !== undefined && (await head(name, transfer.signal))?.etag !== etag)
        throw new MismatchError(`${uri}/${name}: the file changed while it was read; run the same command again`, [])
      const folder = prefix.split('/').map(encodeURIComponent).join('/')
      const base = `${endpoint}/datasets/${repo}/resolve/${at ?? encodeURIComponent(revision)}/${folder}`
      const files = openHttpStore(base, {
        retry,
        client,
        ...(token !== undefined && { authorization: `Bearer ${token}` }),
      })
      yield* files.read(name, { from, to }, transfer) // a commit does not change: no etag is needed
    },

    async write(name, content, transfer = {}) {
      checkName(name)
      pending.delete(name) // goes to the end: the manifest comes last
      pending.set(name, { content, transfer })
    },

    async delete(name) {
      deleted.add(checkName(name))
      pending.delete(name)
    },

    async flush(signal) {
      if (pending.size + deleted.size === 0) return
      if (token === undefined)
        throw new DecantError(`${uri}: writing needs a token: HF_TOKEN, or the file that hf auth login writes`)
      if (/^[0-9a-f]{40}$/.test(revision))
        throw new DecantError(`${uri}: a commit cannot be written to: give a branch as --revision`)
      let parent = await prepareBranch(hub, { revision, found: await commitAt(signal), signal })
      while (pending.size + deleted.size > 0) {
        // A commit is seen whole or not at all. What is deleted goes in the first; what the same commit puts in its place need not be deleted.
        const names = [...pending.keys()].slice(0, COMMIT_FILES - deleted.size)
        const gone = [...deleted].filter((name) => !names.includes(name))
        const batch = new Map<string, Writing | 'delete'>(gone.map((name) => [name, 'delete']))
        for (const name of names) batch.set(name, pending.get(name)!)
        parent = await commitFiles(hub, { files: batch, prefix, revision, parent, signal })
        for (const name of batch.keys()) known.delete(name)
        for (const name of names) pending.delete(name)
        deleted.clear()
        commit = Promise.resolve(parent)
      }
    },
  }
}

function checkEndpoint(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (!url || !/^https?:$/.test(url.protocol) || url.username || url.password || url.search)
    throw new DecantError('HF_ENDPOINT: expected a URL such as https://huggingface.co, without password or query')
  return url.href.replace(/\/$/, '')
}

interface Writing {
  content: Content
  transfer: Transfer
}

interface Preparing {
  revision: string
  /** the branch's commit, where it is there */
  found: string | undefined
  signal: AbortSignal | undefined
}

/** Makes the repository and the branch where they are not there. @returns the commit to begin from */
async function prepareBranch(hub: Hub, { revision, found, signal }: Preparing): Promise<string> {
  if (found !== undefined) return found
  const { createBranch, createRepo } = await loadHubPackage()
  const common = {
    repo: { type: 'dataset' as const, name: hub.repo },
    hubUrl: hub.endpoint,
    accessToken: hub.token!,
    fetch: uploadFetch(hub, new Map()),
  }
  try {
    if ((await findCommit(hub, 'main', signal)) === undefined) await createRepo({ ...common, visibility: 'private' })
    if (revision !== 'main') await createBranch({ ...common, branch: revision })
  } catch (error) {
    throw explainUpload(error, hub)
  }
  const made = await findCommit(hub, revision, signal)
  if (made === undefined) throw new DecantError(`${hub.uri}: was made, and is not there`)
  return made
}

interface Committing {
  files: Map<string, Writing | 'delete'>
  prefix: string
  revision: string
  parent: string
  signal: AbortSignal | undefined
}

/** @returns the new commit */
async function commitFiles(hub: Hub, { files, prefix, revision, parent, signal }: Committing): Promise<string> {
  const { commit } = await loadHubPackage()
  const sent = new Map<string, number>()
  const count =
    (name: string, { transfer }: Writing) =>
    (bytes: number) => {
      sent.set(name, (sent.get(name) ?? 0) + bytes)
      transfer.onBytes?.(bytes)
    }
  const operations = [...files].map(([name, file]) =>
    file === 'delete'
      ? { operation: 'delete' as const, path: prefix + name }
      : {
          operation: 'addOrUpdate' as const,
          path: prefix + name,
          content: new ContentBlob(file.content, { onSent: count(name, file) }),
        },
  )
  const hashes = [...files].flatMap(([name, file]) => (file === 'delete' ? [] : [[name, file.content.sha256] as const]))
  try {
    const done = await commit({
      repo: { type: 'dataset', name: hub.repo },
      title: describe(files),
      operations,
      branch: revision,
      parentCommit: parent,
      hubUrl: hub.endpoint,
      accessToken: hub.token!,
      fetch: uploadFetch(hub, new Map(hashes)),
      // Xet splits files where their content repeats; logits hardly do, and what is sent by LFS is checked by the hub against its SHA-256
      useXet: false,
      ...(signal && { abortSignal: signal }),
    })
    for (const [name, file] of files)
      if (file !== 'delete') file.transfer.onBytes?.(file.content.bytes - (sent.get(name) ?? 0)) // was there, or went with the commit
    return done!.commit.oid
  } catch (error) {
    signal?.throwIfAborted()
    throw explainUpload(error, hub)
  }
}

/** The commit's first line. */
function describe(files: Committing['files']): string {
  const names = [...files.keys()]
  const deleted = [...files.values()].every((file) => file === 'delete')
  const what = names.length === 1 ? names[0]! : `${names.length} files`
  return `${deleted ? 'Delete' : 'Add'} ${what} (decant push)`
}
