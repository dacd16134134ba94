import { join } from 'node:path'
import type { Finding } from './finding.js'
import type { System } from './system.js'

/** What package.json's `engines` asks for. */
const OLDEST_NODE = [20, 19] as const

export function checkNode({ node }: System): Finding {
  const [major = 0, minor = 0] = node.split('.').map(Number)
  const supported = major > OLDEST_NODE[0] || (major === OLDEST_NODE[0] && minor >= OLDEST_NODE[1])
  return {
    name: 'node',
    status: supported ? 'ok' : 'broken',
    required: true,
    found: `${node}; supported: ${OLDEST_NODE.join('.')} and later`,
    fix: supported
      ? []
      : [
          'npx --package node@22 decant doctor',
          'or install Node 22 or later from nodejs.org or with your version manager',
        ],
    details: { version: node },
  }
}

export function checkCores(system: System): Finding {
  const { model, all, usable } = system.cores
  const quota = cpuQuota(system)
  const allowed = quota === undefined ? '' : `, limited to ${Number(quota.toFixed(2))} by the container`
  const tight = quota !== undefined && quota < usable
  const threads = Math.max(1, Math.floor(quota ?? usable))
  return {
    name: 'cores',
    status: tight ? 'warning' : 'ok',
    required: false,
    found: `${usable === all ? all : `${usable} of ${all}`}${allowed}; ${model}`,
    // Node counts the cores that it may run on, and the runtime starts a thread for each
    fix: tight
      ? [
          `decant sweep --jobs ${threads}, decant train --threads ${threads}: more threads than that wait for each other`,
        ]
      : [],
    details: { cores: all, usable, quota: quota ?? null },
  }
}

/** Processors that a container may use, as the kernel's control groups say (cgroup-v2.rst "cpu.max"; v1 "cpu.cfs_quota_us"). */
function cpuQuota({ read }: System): number | undefined {
  const own = /^0::(.*)$/m.exec(read('/proc/self/cgroup') ?? '')?.[1] ?? '/'
  const text = read(join('/sys/fs/cgroup', own, 'cpu.max')) ?? read('/sys/fs/cgroup/cpu.max')
  const [quota, period] = text
    ? text.trim().split(' ').map(Number)
    : ['quota', 'period'].map((name) => Number(read(`/sys/fs/cgroup/cpu/cpu.cfs_${name}_us`)))
  return quota! > 0 && period! > 0 ? quota! / period! : undefined
}

/** What an export of the largest datasets peaks at is below half of it (`npm run bench:memory`). */
const LITTLE_MEMORY = 1e9

export function checkMemory({ memory: { total, limit, available } }: System): Finding {
  const little = available < LITTLE_MEMORY
  const of =
    limit === undefined ? size(total) : `${size(limit)} (the container's limit; the machine has ${size(total)})`
  return {
    name: 'memory',
    status: little ? 'warning' : 'ok',
    required: false,
    found: `${size(available)} free of ${of}`,
    fix: little ? ['close other programs, or export with a smaller --batch and sweep with --jobs 1'] : [],
    details: { total, limit: limit ?? null, available },
  }
}

const LITTLE_DISK = 1e9

/** Free space where decant writes: `folders` by what is written there. */
export function checkDisk(system: System, folders: Record<string, string>): Promise<Finding[]> {
  return Promise.all(
    Object.entries(folders).map(async ([what, folder]): Promise<Finding> => {
      const name = `disk, ${what}`
      try {
        const free = await system.freeDisk(folder)
        const little = free < LITTLE_DISK
        return {
          name,
          status: little ? 'warning' : 'ok',
          required: false,
          found: `${size(free)} free in ${folder}`,
          fix: little
            ? [
                `du -xh --max-depth=1 ${folder} | sort -h   # what takes the room`,
                ...(what === 'cache'
                  ? ['or name another folder for what is fetched of remote datasets: DECANT_CACHE_DIR=<folder>']
                  : []),
              ]
            : [],
          details: { folder, free },
        }
      } catch (error) {
        const { message } = error as Error
        return { name, status: 'warning', required: false, found: message, fix: [`mkdir -p ${folder}`] }
      }
    }),
  )
}

const size = (bytes: number) => `${(bytes / 1e9).toFixed(1)} GB`
