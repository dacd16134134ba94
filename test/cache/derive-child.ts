import { convertTargets, mergeTargets } from '../../src/cache/index.js'

// One operation in a process of its own, for tests that end it: node --import tsx derive-child.ts OPERATION ROOT OUT
// ROOT holds the datasets `f32`, `a` and `b` (parts of it). It says "begun" once everything is loaded.
const [operation, root, out] = process.argv.slice(2) as [string, string, string]

process.stdout.write('begun\n')
try {
  if (operation === 'convert') await convertTargets(`${root}/f32`, { codec: 'f16', shardMb: 0.001, out })
  else await mergeTargets([`${root}/a`, `${root}/b`], { out })
} catch (error) {
  process.stderr.write(`${(error as Error).name}: ${(error as Error).message}\n`)
  process.exitCode = 2
}
