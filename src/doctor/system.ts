import { execFile } from 'node:child_process'
import { existsSync, readdirSync, readFileSync, realpathSync } from 'node:fs'
import { statfs } from 'node:fs/promises'
import { availableParallelism, cpus, totalmem } from 'node:os'
import { type MissingLibrary, missingLibrary, type Provider, providerLibrary } from '../teacher/provider.js'
import { neededLibraries } from './elf.js'
import { type Probe, type ProbeResult, runProbe } from './run-probe.js'

/** The machine as the checks see it: tests give another one. */
export interface System {
  platform: string
  arch: string
  /** Node's version, as 20.19.0. */
  node: string
  env: Record<string, string | undefined>
  cores: { model: string; all: number; usable: number }
  /** In bytes; `limit` is that of a container, if there is one. */
  memory: { total: number; limit: number | undefined; available: number }
  exists(path: string): boolean
  /** Names in a folder; none where it is not there. */
  list(folder: string): string[]
  read(path: string): string | undefined
  realPath(path: string): string
  /** Bytes free for this user on the file system that holds `path`. */
  freeDisk(path: string): Promise<number>
  /** The sonames that a shared library needs (ELF's DT_NEEDED). */
  needed(library: string): Promise<string[]>
  /** What a provider lacks that the npm package does not contain, and where it would be. */
  missingLibrary(provider: Provider): MissingLibrary | undefined
  providerLibrary(provider: Provider): string | undefined
  /** What a command wrote to stdout; undefined where there is none or it fails. */
  run(command: string, args: string[]): Promise<string | undefined>
  /** Tries something in a process of its own. */
  probe(probe: Probe): Promise<ProbeResult>
}

/** This machine. A probe that has not answered after `limit` seconds is killed. */
export function thisSystem({ limit, signal }: { limit: number; signal?: AbortSignal | undefined }): System {
  const constrained = process.constrainedMemory?.()
  return {
    platform: process.platform,
    arch: process.arch,
    node: process.versions.node,
    env: process.env,
    cores: { model: cpus()[0]?.model.trim() ?? process.arch, all: cpus().length, usable: availableParallelism() },
    memory: {
      total: totalmem(),
      limit: constrained && constrained < totalmem() ? constrained : undefined, // without a limit, Node gives 2⁶⁴
      available: process.availableMemory(),
    },
    exists: existsSync,
    list: (folder) => attempt(() => readdirSync(folder)) ?? [],
    read: (path) => attempt(() => readFileSync(path, 'utf8')),
    realPath: (path) => attempt(() => realpathSync(path)) ?? path,
    async freeDisk(path) {
      const { bavail, bsize } = await statfs(path)
      return bavail * bsize
    },
    needed: neededLibraries,
    missingLibrary,
    providerLibrary,
    run: (command, args) =>
      new Promise((resolve) => {
        execFile(command, args, { timeout: limit * 1000, encoding: 'utf8' }, (error, stdout) =>
          resolve(error ? undefined : stdout),
        )
      }),
    probe: (probe) => runProbe(probe, { limit, signal }),
  }
}

function attempt<T>(work: () => T): T | undefined {
  try {
    return work()
  } catch {
    return undefined
  }
}
