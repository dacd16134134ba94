import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { netrcAuthorization } from '../../src/share/netrc.js'
import { temporaryFolder } from '../helpers/folder.js'

const basic = (text: string) => `Basic ${Buffer.from(text).toString('base64')}`

it('finds the password for a host, and gives it to no other', async () => {
  const NETRC = join(temporaryFolder(), 'netrc')
  writeFileSync(
    NETRC,
    `# a comment with machine other.org login x password y
macdef init
machine macro.org login x password y

machine data.org
  login me
  password "a b\\"c"
machine short.org login you password secret account none
machine half.org login you
default login all password all`,
  )
  const of = (url: string) => netrcAuthorization(url, { NETRC })
  expect(await of('https://data.org/a/')).toBe(basic('me:a b"c'))
  expect(await of('https://SHORT.org:8443/')).toBe(basic('you:secret'))
  for (const host of ['other.org', 'macro.org', 'half.org', 'login', 'sub.data.org'])
    expect(await of(`https://${host}/`)).toBeUndefined()
})

it('sends nothing in the clear to another machine', async () => {
  const NETRC = join(temporaryFolder(), 'netrc')
  writeFileSync(NETRC, 'machine data.org login a password b\nmachine 127.0.0.1 login a password b')
  expect(await netrcAuthorization('http://data.org/', { NETRC })).toBeUndefined()
  expect(await netrcAuthorization('http://127.0.0.1:80/', { NETRC })).toBe(basic('a:b'))
  expect(await netrcAuthorization('https://data.org/', { NETRC: join(NETRC, 'missing') })).toBeUndefined()
})
