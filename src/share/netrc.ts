import { readFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'

/**
 * The header Authorization for a web server, from ~/.netrc (or the file that NETRC names), where curl and git look too. Only from an entry for this very
 * host: `default` would give a password to anyone. Nothing is sent in the clear to another machine.
 */
export async function netrcAuthorization(
  url: string,
  env: NodeJS.ProcessEnv = process.env,
): Promise<string | undefined> {
  const { protocol, hostname } = new URL(url)
  if (protocol !== 'https:' && !/^(localhost|127\.[\d.]+|\[::1\])$/.test(hostname)) return undefined
  const text = await readFile(env.NETRC || join(env.HOME || homedir(), '.netrc'), 'utf8').catch(() => '')
  const found = findMachine(text, hostname)
  return found && `Basic ${Buffer.from(`${found.login}:${found.password}`).toString('base64')}`
}

/** netrc(5): words, in any layout; a value may be in double quotes; a macro ends at an empty line. */
function findMachine(text: string, host: string): { login: string; password: string } | undefined {
  const words = text
    .replace(/^\s*#.*$/gm, '')
    .replace(/^macdef[\s\S]*?(\n\s*\n|$(?![\s\S]))/gm, '')
    .match(/"(?:[^"\\]|\\.)*"|\S+/g)
  if (!words) return undefined
  const value = (word = '') => (word.startsWith('"') ? word.slice(1, -1).replace(/\\(.)/g, '$1') : word)
  let here = false
  let login: string | undefined
  let password: string | undefined
  for (let i = 0; i < words.length; i++) {
    if (words[i] === 'machine' || words[i] === 'default') {
      if (here) break
      here = words[i] === 'machine' && value(words[++i]).toLowerCase() === host.toLowerCase()
    } else if (words[i] === 'login' || words[i] === 'password' || words[i] === 'account') {
      const key = words[i]
      const found = value(words[++i])
      if (here && key === 'login') login = found
      if (here && key === 'password') password = found
    }
  }
  return login !== undefined && password !== undefined ? { login, password } : undefined
}
