import { Agent } from 'node:https'
import type { S3Client as Client, S3ServiceException } from '@aws-sdk/client-s3'
import { DecantError, UnavailableError } from '../../errors.js'
import { withoutSecrets } from '../credentials.js'
import { tunnelThroughProxies } from '../proxy.js'
import { isPassing, isPassingStatus, PassingError, type RetryOptions, retry } from '../retry.js'
import { RefusedError } from '../store.js'

// The SDK, as the store uses it: loaded when it is needed, its failures in our words.

export type Sdk = typeof import('@aws-sdk/client-s3')

export async function loadSdk(load: () => Promise<Sdk> = () => import('@aws-sdk/client-s3')): Promise<Sdk> {
  try {
    return await load()
  } catch (error) {
    if (!/ERR_MODULE_NOT_FOUND|MODULE_NOT_FOUND/.test((error as NodeJS.ErrnoException).code ?? '')) throw error
    throw new UnavailableError('s3:// needs a package that is not installed: npm install @aws-sdk/client-s3')
  }
}

/**
 * Endpoint, region and credentials are found as the SDK finds them: environment, ~/.aws, the machine's role. Its checksums are left as they
 * are: a CRC32 of what has no SHA-256 of ours.
 */
export async function createClient(
  sdk: Sdk,
  { env, idleMs }: { env: NodeJS.ProcessEnv; idleMs: number },
): Promise<Client> {
  const httpsAgent = new Agent({ keepAlive: true })
  tunnelThroughProxies(httpsAgent, { env, idleMs })
  const endpoint = env.AWS_ENDPOINT_URL_S3 || env.AWS_ENDPOINT_URL
  const create = (region?: string) =>
    new sdk.S3Client({
      ...(endpoint && { endpoint, forcePathStyle: true }), // other servers than Amazon's are rarely found under bucket.host
      ...(region && { region }),
      followRegionRedirects: true,
      maxAttempts: 1, // `retry` repeats, as for all stores
      requestHandler: { connectionTimeout: 20_000, socketTimeout: idleMs, httpsAgent },
    })
  const client = create()
  // A signature needs a region, where none is set the first one: Amazon then says which it is, others have none.
  return client.config.region().then(
    () => client,
    () => create('us-east-1'),
  )
}

/** @param place of what was asked for, for messages */
export function attempt<T>(place: string, work: () => Promise<T>, options: RetryOptions): Promise<T> {
  return retry(async () => {
    try {
      return await work()
    } catch (error) {
      options.signal?.throwIfAborted()
      throw explain(error, place)
    }
  }, options)
}

/** HTTP's status of a refusal; undefined where no answer came. */
export const statusOf = (error: unknown): number | undefined =>
  (error as S3ServiceException)?.$metadata?.httpStatusCode ?? (error as { status?: number })?.status

/** The service's error: with its status, so that callers can tell what it was. */
export class S3Error extends RefusedError {
  override name = 'S3Error'
  constructor(
    message: string,
    readonly code: string,
    status: number | undefined,
  ) {
    super(message, status)
  }
}

const PASSING_CODES = /^(SlowDown|RequestTimeout|RequestTimeTooSkewed|Throttl\w*|TimeoutError|InternalError|BadDigest)$/

function explain(error: unknown, place: string): unknown {
  if (error instanceof DecantError) return error
  const { name = 'Error', message = '' } = error as Error
  const status = statusOf(error)
  const said = `${place}: ${REASONS[name] ?? STATUSES[status ?? 0] ?? `${status ? `the server answers ${status}, ` : ''}${name}: ${withoutSecrets(message).slice(0, 300)}`}`
  const passing = status === undefined ? isPassing(error) || name === 'TimeoutError' : isPassingStatus(status)
  if (passing || PASSING_CODES.test(name)) return new PassingError(said)
  if (status === undefined && REASONS[name] === undefined && !(error as NodeJS.ErrnoException).code) return error
  return new S3Error(said, name, status)
}

const KEYS = 'AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, or aws configure'
const REASONS: Record<string, string> = {
  CredentialsProviderError: `no credentials: set ${KEYS}`,
  InvalidAccessKeyId: `the access key is not known there: check ${KEYS}`,
  SignatureDoesNotMatch: `the secret key is wrong: check ${KEYS}`,
  ExpiredToken: 'the credentials have expired',
  AccessDenied: 'access denied: the credentials do not permit this',
  NoSuchBucket: 'there is no such bucket; decant makes none',
  EntityTooLarge: 'the server takes no file of this size',
}
const STATUSES: Record<number, string> = {
  401: 'the server asks for credentials, and there are none for it, or they are wrong',
  403: 'access denied: the credentials do not permit this',
  404: 'there is no such file',
}
