import { chooseRows, createTargets, idColumn, openTargets } from '../../src/cache/index.js'
import { CREATED, makePlan } from './datasets.js'

// Writes and reads back `rows` rows of 1000 classes and prints the peak memory in MiB: node --import tsx stream-child.ts DIR ROWS
const [dir, rows] = [process.argv[2]!, Number(process.argv[3])]
const [classes, codec, batch] = [1000, 'f16', 500] as const
const plan = makePlan({ rows, classes, codec, ...chooseRows({ codec, classes, shardBytes: 32 * 2 ** 20 }) })
const ids = idColumn(Array.from({ length: batch }, (_, i) => `row/${i}`))
const block = {
  ids,
  labels: new Int32Array(batch),
  logits: new Uint16Array(batch * classes),
  shift: new Float32Array(batch),
}

const writer = await createTargets(dir, plan)
for (let shard = 0; shard * plan.rowsPerShard < rows; shard++) {
  await writer.beginShard(shard)
  const end = Math.min(rows, (shard + 1) * plan.rowsPerShard)
  for (let row = shard * plan.rowsPerShard; row < end; row += batch) {
    const n = Math.min(batch, end - row)
    const part = { offsets: ids.offsets.subarray(0, n + 1), bytes: ids.bytes.subarray(0, ids.offsets[n]) }
    const { labels, logits, shift } = block
    await writer.append({
      rows: n,
      ids: part,
      labels: labels.subarray(0, n),
      columns: { logits: logits.subarray(0, n * classes), shift: shift.subarray(0, n) },
    })
  }
  await writer.endShard()
}
await writer.finish({ created: CREATED })

const targets = await openTargets(dir)
let read = 0
for await (const chunk of targets.chunks({ verify: true })) read += chunk.rows
await targets.close()
if (read !== rows) throw new Error(`wrote ${rows} rows, read ${read}`)
console.log(Math.round(process.resourceUsage().maxRSS / 1024))
