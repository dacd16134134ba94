import { readFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { DecantError } from '../errors.js'

// Credentials come from the environment and from the files where each service's own tools keep them, never from a command line, a URI
// or a manifest. They are sent to the service that they are for, and put into nothing else.

/**
 * The hub's token: HF_TOKEN, else the file that `hf auth login` writes (HF_TOKEN_PATH, or `token` in HF_HOME).
 * @returns undefined where there is none: public datasets need none to be read
 */
export async function hubToken(env: NodeJS.ProcessEnv = process.env): Promise<string | undefined> {
  const given = (env.HF_TOKEN || env.HUGGING_FACE_HUB_TOKEN)?.trim()
  const home = env.HF_HOME || join(env.XDG_CACHE_HOME || join(env.HOME || homedir(), '.cache'), 'huggingface')
  const path = env.HF_TOKEN_PATH || join(home, 'token')
  const token = given || (await readFile(path, 'utf8').catch(() => '')).trim()
  if (!/^[\x21-\x7e]*$/.test(token))
    throw new DecantError(
      `${given ? 'HF_TOKEN' : path}: expected a token alone, found spaces or other characters in it`,
    )
  return token || undefined
}

/** Names of a query's values that sign a request, or are a secret themselves. */
const SECRET_VALUES =
  /([?&](?:[\w-]*(?:signature|credential|security-token|token|secret|password|key-pair-id|policy|sig|api[_-]?key)))=[^&\s"'<>]*/gi

/**
 * What others say of a failure, fit to be shown: URLs without userinfo and signatures, no bearer or basic credentials, none of the tokens that
 * are known.
 */
export function withoutSecrets(text: string, known: readonly (string | undefined)[] = []): string {
  const rest = text
    .slice(0, 10_000) // a page of somebody else's; the first pattern takes the square of its length
    .replace(/([a-z][a-z0-9+.-]*:\/\/)[^/\s@"'<>]+@/gi, '$1')
    .replace(SECRET_VALUES, '$1=…')
    .replace(/\b(bearer|basic)\s+[\w~+/.=-]+/gi, '$1 …')
    .replace(/\bhf_\w{8,}|\b(?:AKIA|ASIA)[A-Z0-9]{12,}/g, '…')
  return known.reduce<string>((all, secret) => (secret ? all.replaceAll(secret, '…') : all), rest)
}
