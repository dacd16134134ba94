import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { pullTargets, pushTargets } from '../../src/share/index.js'
import { openDataset } from '../../src/share/open-dataset.js'
import { openHttpStore } from '../../src/share/stores/http.js'
import { idOf, makePlan, writeTargets } from '../cache/datasets.js'
import { hashFolder, temporaryFolder } from '../helpers/folder.js'
import { keptFolder } from './folders.js'

// A web server of others, on loopback: nginx, with its module for PUT and DELETE.
const missing = spawnSync('nginx', ['-v']).status !== 0
if (missing) console.warn('SKIPPED: nginx is not installed (apt-get install nginx-light)')

const root = keptFolder()
const source = join(root, 'source')
let nginx: ChildProcess
let url: string

async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as { port: number }
  await new Promise((resolve) => server.close(resolve))
  return port
}

beforeAll(async () => {
  await writeTargets(source, makePlan({ rows: 400, teacherLicense: 'mit' }))
  if (missing) return
  const port = await freePort()
  const www = join(root, 'www')
  mkdirSync(www)
  writeFileSync(join(root, 'passwords'), 'me:{PLAIN}secret\n')
  writeFileSync(
    join(root, 'nginx.conf'),
    `${process.getuid?.() === 0 ? 'user root;' : ''} daemon off; worker_processes 1; pid ${root}/nginx.pid; error_log ${root}/error.log;
    events {}
    http {
      log_format line '$request_method $uri $status $http_range'; access_log ${root}/access.log line;
      client_body_temp_path ${root}/body; client_max_body_size 0; client_body_in_file_only off;
      proxy_temp_path ${root}/p; fastcgi_temp_path ${root}/f; uwsgi_temp_path ${root}/u; scgi_temp_path ${root}/s;
      server {
        listen 127.0.0.1:${port}; root ${www}; dav_methods PUT DELETE; create_full_put_path on;
        location /private/ { auth_basic private; auth_basic_user_file ${root}/passwords; }
        location /readonly/ { dav_methods off; alias ${www}/there/; }
      }
    }`,
  )
  nginx = spawn('nginx', ['-c', join(root, 'nginx.conf')], { stdio: 'inherit' })
  url = `http://127.0.0.1:${port}`
  for (let i = 0; i < 100; i++) {
    if (await fetch(url).then(Boolean, () => false)) return
    await wait(50)
  }
  throw new Error(`nginx did not start: ${readFileSync(join(root, 'error.log'), 'utf8')}`)
})

afterAll(() => nginx?.kill())

const logged = () => readFileSync(join(root, 'access.log'), 'utf8').trimEnd().split('\n')

describe.skipIf(missing)('nginx', () => {
  it('takes a dataset by PUT, has nothing to take the second time, and gives it back', async () => {
    await pushTargets(source, `${url}/there`)
    expect(hashFolder(join(root, 'www/there'))).toEqual(hashFolder(source))
    await wait(50)
    const before = logged().length
    expect((await pushTargets(source, `${url}/there`)).sent).toEqual([])
    await wait(50)
    const asked = logged().slice(before)
    expect(asked.filter((line) => /PUT|DELETE|data\//.test(line))).toEqual([])
    const dir = join(temporaryFolder(), 'here')
    await pullTargets(`${url}/there`, { dir })
    expect(hashFolder(dir)).toEqual(hashFolder(source))
  })

  it('answers ranges of the file that was meant, and of no other', async () => {
    const store = openHttpStore(`${url}/there/`)
    const { etag, bytes } = (await store.head('data/00001.arrow'))!
    const file = readFileSync(join(source, 'data/00001.arrow'))
    expect(bytes).toBe(file.length)
    const got: Uint8Array[] = []
    for await (const piece of store.read('data/00001.arrow', { from: 100, to: 200, etag: etag! })) got.push(piece)
    expect(Buffer.concat(got).equals(file.subarray(100, 200))).toBe(true)
    const other = store.read('data/00001.arrow', { from: 100, to: 200, etag: '"other"' })[Symbol.asyncIterator]()
    await expect(other.next()).rejects.toThrow('the file changed')
    const beyond = store.read('data/00001.arrow', { from: bytes, to: bytes + 1 })[Symbol.asyncIterator]()
    await expect(beyond.next()).rejects.toThrow('shorter than')
  })

  it('goes on with a pull from the bytes that are here', async () => {
    const dir = join(temporaryFolder(), 'here')
    await pullTargets(`${url}/there`, { dir })
    rmSync(join(dir, 'manifest.json'))
    rmSync(join(dir, 'data/00002.arrow'))
    await expect(pullTargets(`${url}/there`, { dir })).rejects.toThrow('expected an empty folder') // no longer known to be a pull
    const fresh = join(temporaryFolder(), 'fresh')
    mkdirSync(join(fresh, 'data'), { recursive: true })
    const { manifest } = await pullTargets(`${url}/there`, { dir: join(temporaryFolder(), 'once') })
    writeFileSync(join(fresh, 'pull.json'), JSON.stringify({ format: 'decant pull', version: 1, uri: url, manifest }))
    const bytes = readFileSync(join(source, 'data/00003.arrow'))
    const { sha256 } = JSON.parse(readFileSync(join(source, 'manifest.json'), 'utf8')).shards[3]
    writeFileSync(join(fresh, `data/00003.arrow.${sha256.slice(0, 16)}.part`), bytes.subarray(0, 1234))
    await pullTargets(`${url}/there`, { dir: fresh })
    await wait(50)
    expect(logged()).toContain(`GET /there/data/00003.arrow 206 bytes=1234-${bytes.length - 1}`)
    expect(hashFolder(fresh)).toEqual(hashFolder(source))
  })

  it('is read in place', async () => {
    const targets = await openDataset(`${url}/there`)
    expect((await targets.row(123)).id).toBe(idOf(123))
    await targets.close()
  })

  it('asks for a password, which ~/.netrc has', async () => {
    const NETRC = join(temporaryFolder(), 'netrc')
    writeFileSync(NETRC, 'machine 127.0.0.1 login me password wrong')
    const push = () => pushTargets(source, `${url}/private/a`, { env: { NETRC } })
    await expect(push()).rejects.toThrow('the server asks for credentials')
    await expect(push()).rejects.not.toThrow('wrong password')
    writeFileSync(NETRC, 'machine 127.0.0.1 login me password secret')
    await push()
    expect(hashFolder(join(root, 'www/private/a'))).toEqual(hashFolder(source))
  })

  it('says that it takes no PUT', async () => {
    rmSync(join(root, 'www/there/manifest.json'))
    rmSync(join(root, 'www/there/data/00000.arrow'))
    await expect(pushTargets(source, `${url}/readonly`)).rejects.toThrow('writing needs PUT')
  })
})
