import { openTargets } from '../../src/cache/index.js'

// Opens DIR, reads row ROW and prints what it took: node --import tsx scale-child.ts DIR ROW
const [dir, row] = [process.argv[2]!, Number(process.argv[3])]
const before = process.cpuUsage()
const started = performance.now()
const targets = await openTargets(dir)
const { user, system } = process.cpuUsage(before)
const seconds = (performance.now() - started) / 1000
const { id } = await targets.row(row)
await targets.close()
console.log(
  JSON.stringify({
    id,
    rows: targets.rows,
    seconds,
    cpuSeconds: (user + system) / 1e6,
    mib: Math.round(process.resourceUsage().maxRSS / 1024),
  }),
)
