import { createHash } from 'node:crypto'
import { openDataset } from '../../src/share/open-dataset.js'

// One reader in a process of its own: node --import tsx remote-child.ts URL CACHE
const [url, dir] = process.argv.slice(2) as [string, string]
const bytes = process.env.DECANT_CACHE_GB

process.stdout.write('begun\n')
const targets = await openDataset(url, { cache: { dir, ...(bytes !== undefined && { bytes: Number(bytes) * 1e9 }) } })
const hash = createHash('sha256')
for await (const { logits } of targets.chunks({ verify: process.env.VERIFY !== '' })) hash.update(logits)
await targets.close()
console.log(hash.digest('hex'))
