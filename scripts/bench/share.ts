/**
 * Push and pull of a dataset of 1 GiB to and from a folder, and pull over http on loopback, hashes checked and files synced, beside what the system
 * has: cp (also with sync, which push and pull do), and curl of the same files from the same server. Medians of `rounds`; each transfer in a process
 * of its own, timed from its first call on; processor time and peak memory of that process. Needs about 3 GB of disk curl, and nginx
 * where there is one.
 *
 * What no program can beat is measured beside: `hash` is SHA-256 of all shards, by a thread a core. A push or pull of a folder has to do that and
 * what cp does, so with n cores it takes at least hash + cp / n.
 *
 *     npx tsx scripts/bench/share.ts [rounds] [names of contenders, as a regular expression]
 */
import { execFileSync, spawn, spawnSync } from 'node:child_process'
import { createHash, randomFillSync } from 'node:crypto'
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { cpus, tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'
import type { Plan } from '../../src/cache/index.js'
import { formatManifest, type Manifest } from '../../src/cache/manifest.js'
import { serveFolder } from '../../test/share/file-server.js'

const SHARDS = 8
const SHARD_BYTES = 128 * 2 ** 20

const repository = fileURLToPath(new URL('../..', import.meta.url))

/** JavaScript, as the package has it: tsx would compile for each process and thread. */
async function compile(): Promise<string> {
  const out = join(repository, 'node_modules/.cache/bench-share')
  const sources = readdirSync(join(repository, 'src'), { recursive: true, encoding: 'utf8' })
  const entryPoints = sources.filter((name) => name.endsWith('.ts')).map((name) => join(repository, 'src', name))
  await build({
    entryPoints,
    outdir: out,
    outbase: join(repository, 'src'),
    format: 'esm',
    platform: 'node',
    target: 'node20',
  })
  return out
}

interface Result {
  seconds: number
  /** seconds of processors */
  cpu: number
  peakMb: number
}

/** Shards of random bytes: neither push nor pull looks into them. */
function makeDataset(dir: string): void {
  mkdirSync(join(dir, 'data'), { recursive: true })
  const bytes = Buffer.alloc(SHARD_BYTES)
  const shards = Array.from({ length: SHARDS }, (_, i) => {
    randomFillSync(bytes)
    const file = `data/${String(i).padStart(5, '0')}.arrow`
    writeFileSync(join(dir, file), bytes)
    return { file, rows: 1000, bytes: SHARD_BYTES, sha256: createHash('sha256').update(bytes).digest('hex') }
  })
  const rows = SHARDS * 1000
  const plan: Plan = {
    classes: 1000,
    names: null,
    codec: 'f32',
    rowsPerShard: 1000,
    rowsPerBatch: 1000,
    teacher: { file: 't', sha256: '0'.repeat(64), opset: 18, output: 'logits', logits: 'logits', producer: '' },
    source: { uri: 's', kind: 'idx', fingerprint: '0'.repeat(64), rows },
    preprocess: null,
    runtime: { decant: '0', onnxruntime: '0', provider: 'cpu', precision: 'f32', batch: 1 },
    license: 'mit',
    teacherLicense: 'mit',
  }
  const manifest = {
    ...plan,
    ...{ format: 'decant', version: 1, kind: 'logits', rows, views: 1, created: '2026-01-01T00:00:00.000Z', shards },
    source: { ...plan.source, skipped: [] },
  } as unknown as Manifest
  writeFileSync(join(dir, 'manifest.json'), formatManifest(manifest))
}

async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as { port: number }
  await new Promise((resolve) => server.close(resolve))
  return port
}

async function startServer(root: string): Promise<{ url: string; name: string; stop: () => unknown }> {
  if (spawnSync('nginx', ['-v']).status !== 0) {
    const served = await serveFolder(root)
    return { url: served.url, name: 'node', stop: served.close }
  }
  const port = await freePort()
  const conf = `${process.getuid?.() === 0 ? 'user root;' : ''} daemon off; worker_processes 1; pid ${root}/nginx.pid; error_log ${root}/nginx.log;
    events {} http { access_log off; sendfile on; server { listen 127.0.0.1:${port}; root ${root}; } }`
  writeFileSync(join(root, 'nginx.conf'), conf)
  const nginx = spawn('nginx', ['-c', join(root, 'nginx.conf')], { stdio: 'ignore' })
  for (
    let i = 0;
    i < 50 && spawnSync('curl', ['-sf', `http://127.0.0.1:${port}/source/manifest.json`]).status !== 0;
    i++
  )
    await wait(100)
  return { url: `http://127.0.0.1:${port}`, name: 'nginx', stop: () => nginx.kill() }
}

const rounds = Number(process.argv[2] ?? 3)
const root = mkdtempSync(join(tmpdir(), 'decant-share-'))
const source = join(root, 'source')
makeDataset(source)
const compiled = await compile()
const server = await startServer(root)
const own = (operation: string, from: string) => (to: string) => {
  const args = [fileURLToPath(new URL('share-child.mjs', import.meta.url)), compiled, operation, from, to]
  return JSON.parse(execFileSync(process.execPath, args, { encoding: 'utf8' })) as Result
}
const theirs = (command: (to: string) => string) => (to: string) => {
  const began = performance.now()
  execFileSync('sh', ['-c', command(to)])
  return { seconds: (performance.now() - began) / 1000, cpu: 0, peakMb: 0 }
}
const files = `${server.url}/source/data/0000[0-${SHARDS - 1}].arrow`
const all: Record<string, (to: string) => Result> = {
  hash: own('hash', source),
  cp: theirs((to) => `cp -r ${source} ${to}`),
  'cp, sync': theirs((to) => `cp -r ${source} ${to} && sync ${to}/data/*`),
  'push to a folder': own('push', source),
  'pull from a folder': own('pull', source),
  curl: theirs((to) => `mkdir -p ${to} && curl -s ${files} -o '${to}/#1.arrow'`),
  'curl, sync': theirs((to) => `mkdir -p ${to} && curl -s ${files} -o '${to}/#1.arrow' && sync ${to}/*`),
  'pull over http': own('pull', `${server.url}/source`),
}
const chosen = new RegExp(process.argv[3] ?? '')
const contenders = Object.entries(all).filter(([name]) => chosen.test(name))
try {
  const results = new Map(contenders.map(([name]) => [name, [] as Result[]]))
  const to = join(root, 'out')
  cpSync(source, to, { recursive: true })
  for (let round = 0; round < rounds; round++)
    for (const [name, run] of contenders) {
      // Removed just before: pages that a virtual machine has given back to its host cost a second a GB when they are touched again.
      if (name !== 'hash') rmSync(to, { recursive: true, force: true })
      const result = run(to)
      results.get(name)!.push(result)
      if (!/^pu/.test(name)) continue
      const same = readFileSync(join(to, 'manifest.json')).equals(readFileSync(join(source, 'manifest.json')))
      if (!same) throw new Error(`${name}: another manifest`)
    }
  console.log(
    `${cpus().length} × ${cpus()[0]!.model}, Node ${process.version}, server ${server.name}; medians of ${rounds}`,
  )
  const median = (name: string, of: keyof Result = 'seconds') =>
    (results.get(name) ?? []).map((result) => result[of]).sort((a, b) => a - b)[rounds >> 1] ?? Number.NaN
  for (const name of results.keys()) {
    const against = name.includes('http') ? 'curl' : 'cp'
    const ratio = (other: string) => (median(other) / median(name)).toFixed(2)
    const said = /^pu/.test(name)
      ? `, ${ratio(against)} of ${against}'s speed, ${ratio(`${against}, sync`)} of ${against}'s with sync; ${median(name, 'cpu').toFixed(2)} s of processors, peak ${Math.round(median(name, 'peakMb'))} MB`
      : ''
    console.log(`${name.padEnd(20)} ${median(name).toFixed(2)} s${said}`)
  }
  const floor = median('hash') + median('cp') / cpus().length
  console.log(
    `hash + cp / ${cpus().length}         ${floor.toFixed(2)} s, ${(median('cp') / floor).toFixed(2)} of cp's speed`,
  )
} finally {
  await server.stop()
  rmSync(root, { recursive: true, force: true })
}
