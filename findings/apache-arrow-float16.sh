#!/usr/bin/env bash
# Package: apache-arrow 21.2.0 of npm, the JavaScript implementation of Arrow. Node.js 20 or later is needed.
#
# Expected: a column of the type Float16 holds each number as the nearest float16, as IEEE 754 and numpy have it. What is
# larger than float16 can hold becomes infinite, and what is smaller becomes 0. A column that is built from plain numbers
# offers no other way to make float16, so its rounding should be the usual one.
#
# What happens: three kinds of numbers become others altogether, without an error.
# - A number just below a power of two with an odd exponent (2, 8, 32) is rounded up to it, and the carry into the
#   exponent is lost: 7.9999 becomes 4.
# - Some numbers below 2^-14 become infinite or not a number: 6.1034e-5 and 1e-8 become -Infinity.
# - A number beyond 65536 that has few bits becomes small: 70000 becomes 2.13.
#
# Meaning for whoever caches logits: about one logit in ten thousand is halved, which no check for NaN or for infinity
# sees, and a cached softmax gets infinities where the teacher is confident. Convert to the bits of float16 by other code
# and hand those to Arrow in a Uint16Array, which it keeps as they are; the last lines show it.
#
# Output seen:
#   7.9999 -> 4, due: 8
#   -1.9999 -> -1, due: -2
#   0.000061034 -> -Infinity, due: 0.00006103515625
#   1e-8 -> -Infinity, due: 0
#   1.5e-10 -> NaN, due: 0
#   70000 -> 2.134765625, due: Infinity
#   3 -> 3, due: 3
#   of 60001 logits from -30 to 30: 6 are off by half of their size
#   bits that were made elsewhere: 8, 1
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
npm install --prefix "$folder" --no-audit --no-fund --silent apache-arrow@21.2.0

cat > "$folder/check.mjs" <<'JS'
import { Float16, makeData, makeVector, tableFromIPC, tableToIPC, Table, vectorFromArray } from 'apache-arrow'

// The values are read from the bytes of a file, as another process would.
const stored = (vector) => [...tableFromIPC(tableToIPC(new Table({ logits: vector }), 'file')).getChild('logits')]
const seen = (numbers) => stored(vectorFromArray(numbers, new Float16()))

const due = [
  [7.9999, 8, 4],
  [-1.9999, -2, -1],
  [6.1034e-5, 6.103515625e-5, -Infinity],
  [1e-8, 0, -Infinity],
  [1.5e-10, 0, NaN],
  [70000, Infinity, 2.134765625],
  [3, 3, 3],
]
const values = seen(due.map(([number]) => number))
due.forEach(([number, right], i) => console.log(`${number} -> ${values[i]}, due: ${right}`))

const logits = Array.from({ length: 60001 }, (_, i) => (i - 30000) / 1000 + 1e-4)
const off = seen(logits).filter((value, i) => Math.abs(value - logits[i]) > Math.abs(logits[i]) / 4).length
console.log(`of ${logits.length} logits from -30 to 30: ${off} are off by half of their size`)

const bits = makeVector(makeData({ type: new Float16(), data: Uint16Array.of(0x4800, 0x3c00) }))
console.log(`bits that were made elsewhere: ${stored(bits).join(', ')}`)

if (!due.every(([, , wrong], i) => Object.is(values[i], wrong)) || off === 0 || stored(bits).join() !== '8,1') {
  console.error('changed: apache-arrow stores float16 otherwise than described here')
  process.exit(1)
}
JS
node "$folder/check.mjs"
