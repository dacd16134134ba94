import { writeFileSync } from 'node:fs'
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { inspect } from 'node:util'
import { describe, expect, onTestFinished, test } from 'vitest'
import { buildProgram } from '../../src/cli/program.js'
import { withoutSecrets } from '../../src/share/credentials.js'
import { makePlan, readFolder, writeTargets } from '../cache/datasets.js'
import { captureOutput } from '../cli/output.js'
import { startFakeHub, TOKEN } from '../helpers/fake-hub.js'
import { temporaryFolder } from '../helpers/folder.js'
import { withEnvironment } from '../helpers/servers.js'

// Secrets are planted wherever a user or a server may put them; then everything that decant says and writes is searched for them.

const SECRETS = [
  TOKEN,
  'theKeyId123',
  'theSecretKey',
  'theSessionToken',
  'thePassword',
  'theSignature',
  'theWrongToken',
]
const ENVIRONMENT = {
  HF_TOKEN: TOKEN,
  HF_ENDPOINT: undefined as string | undefined,
  AWS_ACCESS_KEY_ID: 'theKeyId123',
  AWS_SECRET_ACCESS_KEY: 'theSecretKey',
  AWS_SESSION_TOKEN: 'theSessionToken',
  AWS_ENDPOINT_URL_S3: undefined as string | undefined,
  NETRC: '/nowhere',
}

/** A server that throws all that it was sent back into its clients' faces. */
async function serve(answer?: RequestListener): Promise<string> {
  const server = createServer(
    answer ??
      ((request, response) => {
        const echo = `${request.url} ${JSON.stringify(request.headers)} http://x/?X-Amz-Signature=theSignature`
        const xml = `<?xml version="1.0"?><Error><Code>Odd</Code><Message>${echo.replace(/[<&]/g, ' ')}</Message></Error>`
        response.writeHead(400, { 'content-type': 'application/xml' }).end(xml)
      }),
  )
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

/** Runs a command that may fail, and gives all that can be known from it. */
async function everything(...args: string[]): Promise<string> {
  const { said, restore } = captureOutput()
  try {
    await buildProgram().parseAsync(args, { from: 'user' })
  } catch (error) {
    return `${said.out}${said.err}${inspect(error, { depth: 20, showHidden: true })}`
  } finally {
    restore()
  }
  return said.out + said.err
}

async function dataset(): Promise<string> {
  const dir = join(temporaryFolder(), 'targets')
  await writeTargets(dir, makePlan({ teacherLicense: 'mit', rows: 20 }))
  return dir
}

const expectNone = (text: string) => {
  for (const secret of SECRETS) expect(text, secret).not.toContain(secret)
}

describe('what is said and written has no secrets in it:', () => {
  test.each([
    'https://user:thePassword@host.invalid/path',
    'https://host.invalid/path?X-Amz-Credential=theKeyId123&X-Amz-Signature=theSignature',
    'https://host.invalid/path#access_token=theSignature',
    'https://user:thePassword@[bad',
  ])('of the URI %s', async (uri) => {
    withEnvironment(ENVIRONMENT)
    const dir = await dataset()
    for (const args of [
      ['push', dir, uri],
      ['pull', uri],
      ['inspect', uri],
      ['verify', uri],
    ]) {
      const said = await everything(...args)
      expect(said).toContain('DecantError: ')
      expectNone(said)
    }
  })

  test('of a bucket whose server says everything that it knows', async () => {
    withEnvironment({ ...ENVIRONMENT, AWS_ENDPOINT_URL_S3: await serve() })
    const dir = await dataset()
    for (const args of [
      ['push', dir, 's3://bucket/x'],
      ['pull', 's3://bucket/x', join(temporaryFolder(), 'new')],
    ]) {
      const said = await everything(...args)
      expect(said).toContain('s3://bucket/x')
      expectNone(said)
    }
    for (const content of (await readFolder(dir)).values()) expectNone(content.toString('latin1'))
  })

  test('of a hub that refuses the upload at a signed URL, or whatever it is asked', async () => {
    const hub = await startFakeHub()
    onTestFinished(() => hub.close())
    withEnvironment({ ...ENVIRONMENT, HF_ENDPOINT: hub.endpoint })
    const dir = await dataset()
    const refuse = (path: RegExp, status: number) => {
      hub.before = (request, response) => {
        if (!path.test(request.url!)) return false
        const error = `no ${request.headers.authorization} at ${request.url} for https://u:thePassword@h/?X-Amz-Signature=theSignature`
        response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify({ error }))
        return true
      }
    }
    for (const [path, status] of [
      [/X-Amz-Signature/, 400],
      [/preupload/, 400],
      [/batch/, 422],
      [/revision/, 403],
      [/commit/, 400],
    ] as const) {
      refuse(path, status)
      const said = await everything('push', dir, 'hf://datasets/org/name')
      expect(said).toContain('hf://datasets/org/name')
      expectNone(said)
    }
    hub.before = undefined
    const said = await everything('push', dir, 'hf://datasets/org/name')
    expect(said).toContain('sent')
    expectNone(said)
    for (const { content } of hub.files('org/name').values()) expectNone(content?.toString('latin1') ?? '')
  })

  test('of a web server with a login in .netrc, that redirects to a signed URL on another host', async () => {
    const other = await serve((request, response) => {
      seen.push(request.headers.authorization)
      response.writeHead(403).end()
    })
    const seen: (string | undefined)[] = []
    const logins: (string | undefined)[] = []
    const url = await serve((request, response) => {
      logins.push(request.headers.authorization)
      response.writeHead(302, { location: `${other}/a?X-Amz-Signature=theSignature` }).end()
    })
    const netrc = join(temporaryFolder(), 'netrc')
    writeFileSync(
      netrc,
      'machine example.org login a password b\nmachine 127.0.0.1\n  login me password thePassword\ndefault login x password theWrongToken',
    )
    withEnvironment({ ...ENVIRONMENT, NETRC: netrc })
    const said = await everything('pull', `${url}/d`, join(temporaryFolder(), 'new'))
    expect(logins).toContain(`Basic ${Buffer.from('me:thePassword').toString('base64')}`)
    expect(seen).toEqual([undefined])
    expectNone(said)
    expect(said).not.toContain(Buffer.from('me:thePassword').toString('base64'))
  })
})

test.each([
  ['GET https://a:b@host/x?b=1&X-Amz-Signature=abc&c=2', 'GET https://host/x?b=1&X-Amz-Signature=…&c=2'],
  ['?token=abc and &sig=x', '?token=… and &sig=…'],
  ['Authorization: Bearer abc.def', 'Authorization: Bearer …'],
  ['basic dXNlcg==', 'basic …'],
  ['hf_abcdefghij, AKIAABCDEFGHIJKLMNOP', '…, …'],
  ['a known one', 'a … one'],
  ['nothing in it: tokens 5', 'nothing in it: tokens 5'],
])('%j is shown as %j', (text, shown) => {
  expect(withoutSecrets(text, ['known', undefined])).toBe(shown)
})
