import type { MiddlewareHandler } from 'hono'
import { Refused } from './answers.js'

/** Pictures are data in a page of one file; charts style themselves in the page. Scripts come from this server alone. */
const CSP = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self' 'unsafe-inline'",
  "img-src 'self' data: blob:",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ')

export const securityHeaders: Record<string, string> = {
  'Content-Security-Policy': CSP,
  'X-Content-Type-Options': 'nosniff',
  'Referrer-Policy': 'no-referrer',
  'Cross-Origin-Resource-Policy': 'same-origin',
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cache-Control': 'no-store',
}

/**
 * Lets only this page ask. Any page in the browser can send requests to 127.0.0.1: another site's name that resolves to it (DNS rebinding)
 * shows in Host, another site's script in Origin, its pictures and frames in Sec-Fetch-Site.
 */
export function guard(port: () => number): MiddlewareHandler {
  return async ({ req }, next) => {
    if (req.method !== 'GET') throw new Refused(405, 'only GET is answered here')
    const hosts = ['127.0.0.1', 'localhost'].map((name) => `${name}:${port()}`)
    const host = req.header('host') ?? ''
    if (!hosts.includes(host)) throw new Refused(403, 'this server answers to 127.0.0.1 and localhost only')
    const origin = req.header('origin')
    if (origin !== undefined && origin !== `http://${host}`) throw new Refused(403, 'another site may not ask here')
    const site = req.header('sec-fetch-site')
    const isLink = req.path === '/' && req.header('sec-fetch-dest') === 'document'
    if (site !== undefined && site !== 'same-origin' && site !== 'none' && !isLink)
      throw new Refused(403, 'another site may not ask here')
    await next()
  }
}
