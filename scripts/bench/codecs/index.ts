/**
 * What each codec and three peers lose, on the same rows: bytes a row, and by temperature the KL to the exact soft targets over the
 * classes that are kept apart and the rest as one, and over all classes: the mean, and the worst row in brackets.
 *
 *   npm run bench:codecs -- [--classes 1000] [--rows 200] [--kind gaussian]
 */
import { parseArgs } from 'node:util'
import { columnBytes } from '../../../src/cache/columns.js'
import { type CodecName, columnsOf, type Fidelity, measureFidelity } from '../../../src/cache/index.js'
import { makeLogits, type RowsKind, rowsKinds } from '../../../test/cache/codecs/rows.js'
import { distillkit } from '../peers/distillkit.js'
import type { Peer } from '../peers/peer.js'
import { renormalised } from '../peers/renormalised.js'
import { tinyvit } from '../peers/tinyvit.js'
import { measurePeer } from './measure-peer.js'

const { values } = parseArgs({
  options: {
    classes: { type: 'string', default: '1000' },
    rows: { type: 'string', default: '200' },
    kind: { type: 'string' },
  },
})
const [classes, rows] = [Number(values.classes), Number(values.rows)]
const codecs: CodecName[] = [
  'f32',
  'f16',
  'q8',
  `hybrid:${25 + Math.ceil((4.6 / 8) * classes)}`,
  'topk:14',
  'topk:16',
  'topk:64',
  'sampled:16',
]
const peers: Peer[] = [
  tinyvit(16),
  renormalised(16),
  distillkit({ k: 50, exact: 1, powers: [0, 1, 0.5] }),
  distillkit({ k: 128, exact: 16, powers: [0, 1, 2, 3, 4, 0.5] }),
].filter((peer) => !/k = (\d+)/.test(peer.name) || Number(/k = (\d+)/.exec(peer.name)![1]) < classes)

for (const kind of values.kind ? [values.kind as RowsKind] : rowsKinds) {
  const logits = makeLogits(kind, { rows, classes })
  console.log(`\n${kind}: ${rows} rows of ${classes} classes\n`)
  console.log('| | bytes | over | T = 0.5 | 1 | 2 | 4 | 8 | 20 | tail mass, worst |')
  console.log('|---|---|---|---|---|---|---|---|---|---|')
  for (const codec of codecs) {
    const bytes = columnBytes(columnsOf({ codec, classes }))
    print(codec, bytes, measureFidelity({ logits, classes, codec }))
  }
  for (const peer of peers) print(peer.name, peer.bytes(classes), measurePeer(peer, { logits, classes }))
}

function print(name: string, bytes: number, { temperatures }: Fidelity): void {
  const same = temperatures.every(({ tailError }) => tailError === null)
  const worst = Math.max(...temperatures.map(({ tailError }) => tailError?.worst ?? 0))
  const tail = same ? '' : `${(100 * worst).toPrecision(2)} %`
  const cells = (key: 'klBuckets' | 'klClasses') =>
    temperatures.map((at) => `${short(at[key].mean)} (${short(at[key].worst)})`).join(' | ')
  if (!same) console.log(`| ${name} | ${bytes} | buckets | ${cells('klBuckets')} | ${tail} |`)
  console.log(`| ${same ? name : ''} | ${same ? bytes : ''} | classes | ${cells('klClasses')} | |`)
}

function short(value: number): string {
  if (!Number.isFinite(value)) return '∞'
  return value < 1e-12 ? '0' : value.toExponential(0).replace('e-', 'e-')
}
