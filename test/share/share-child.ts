import { pullTargets, pushTargets } from '../../src/share/index.js'

// One transfer in a process of its own, for tests that end it: node --import tsx share-child.ts push|pull|rows FROM TO
const [operation, from, to] = process.argv.slice(2) as [string, string, string]

process.stdout.write('begun\n')
try {
  if (operation === 'push') await pushTargets(from, to, { replace: true })
  else await pullTargets(from, { dir: to, ...(operation === 'rows' && { rows: { from: 100, to: 1900 } }) })
} catch (error) {
  process.stderr.write(`${(error as Error).name}: ${(error as Error).message}\n`)
  process.exitCode = 2
}
