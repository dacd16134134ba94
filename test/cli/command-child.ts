import '../../src/telemetry.js'
import { buildProgram } from '../../src/cli/program.js'
import { DecantError } from '../../src/errors.js'

// A command in a process of its own, for tests that end it: node --import tsx command-child.ts COMMAND …. It says "begun" once everything is
// loaded: what comes before writes nothing.

if (process.argv[2] === 'license') await import('../../src/cache/index.js')
else
  await Promise.all([
    import('../../src/chain/index.js'),
    import('../../src/report/render-metrics.js'),
    import('../../src/report/write-report.js'),
    import('../../src/share/open-dataset.js'),
  ])
process.stdout.write('begun\n')
try {
  await buildProgram().parseAsync(process.argv.slice(2), { from: 'user' })
} catch (error) {
  process.stderr.write(`${(error as Error).stack}\n`)
  process.exitCode = error instanceof DecantError ? error.exitCode : 1
}
