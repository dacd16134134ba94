import { execFileSync } from 'node:child_process'
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { expect, test } from 'vitest'
import { writeExamples } from '../fixtures/old-datasets.js'
import { temporaryFolder } from '../helpers/folder.js'
import { python } from '../helpers/python.js'

/** A network of its own: the loopback interface comes up, and whoever asks for a name asks us. */
const inside = `
import fcntl, socket, struct, subprocess, sys, threading
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
    fcntl.ioctl(s, 0x8914, struct.pack('16sH14s', b'lo', 0x1 | 0x40, b'')) # SIOCSIFFLAGS: up and running
subprocess.run(['mount', '--bind', sys.argv[1], '/etc/resolv.conf'], check=True)
asked = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
asked.bind(('127.0.0.1', 53))
log = open(sys.argv[2], 'w')
def listen():
    while True:
        query, peer = asked.recvfrom(4096)
        log.write(repr(query[12:]) + '\\n'); log.flush()
        asked.sendto(query[:2] + b'\\x81\\x83' + query[4:6] + bytes(6) + query[12:], peer) # no such name
threading.Thread(target=listen, daemon=True).start()
sys.exit(subprocess.run(sys.argv[3:]).returncode)
`

/** Runs TypeScript in a network that has only loopback; the look-ups that were made. */
function lookUps(dir: string, code: string): string {
  const [script, resolver, log] = ['inside.py', 'resolv.conf', 'asked'].map((name) => join(dir, name)) as [
    string,
    string,
    string,
  ]
  writeFileSync(script, inside)
  writeFileSync(resolver, 'nameserver 127.0.0.1\n')
  const tsx = pathToFileURL(createRequire(import.meta.url).resolve('tsx')).href
  const command = [process.execPath, '--import', tsx, '--input-type=module', '-e', code]
  execFileSync('unshare', ['--net', '--mount', python, script, resolver, log, ...command], { stdio: 'pipe' })
  return readFileSync(log, 'utf8')
}

const mayUnshare = (() => {
  try {
    execFileSync('unshare', ['--net', '--mount', 'true'], { stdio: 'ignore' })
    return true
  } catch {
    console.warn('SKIPPED: look-ups are watched in a network namespace, which takes root and `unshare`')
    return false
  }
})()

test.skipIf(!mayUnshare)(
  'export, train, doctor and view look no host up, and leave no file in a fresh home folder',
  () => {
    const dir = temporaryFolder()
    writeExamples(dir)
    const [HOME, TMPDIR] = [join(dir, 'home'), join(dir, 'tmp')]
    for (const folder of [HOME, TMPDIR]) mkdirSync(folder)
    const { href } = pathToFileURL(resolve('test/cli/use-decant.ts'))
    const use = `import { useDecant } from ${JSON.stringify(href)}; await useDecant(${JSON.stringify(dir)}, ${JSON.stringify({ HOME, TMPDIR })})`
    expect(lookUps(dir, use)).toBe('')
    expect(readdirSync(HOME, { recursive: true })).toEqual([])
    // tsx, which runs the source here, keeps what it compiled
    expect(readdirSync(TMPDIR).filter((name) => !/^tsx-\d+$/.test(name))).toEqual([])
  },
)

test.skipIf(!mayUnshare)('a look-up would be seen', () => {
  const asked = lookUps(
    temporaryFolder(),
    `import dns from 'node:dns'; await dns.promises.lookup('telemetry.example').catch(() => {})`,
  )
  expect(asked).toContain('telemetry')
})
