import { setImmediate } from 'node:timers/promises'
import pLimit from 'p-limit'
import { PAGE, type WasmModule } from '../../wasm.js'
import { type Channels, toChannels } from '../channels.js'
import type { Axis } from './axis.js'
import { AT_ONCE, BLOCK, type Fraction, LOW, loadKernel, PAIR, pixelsAtOnce, SLACK } from './kernel.js'
import type { Resampling } from './plan.js'

/** Bytes of rows that go to a pass at a time: they stay in a processor's nearer caches. */
const BAND = 2 ** 19
/** Bytes between the passes: columns beyond are made after the others. So memory does not grow with the picture. */
const BETWEEN = 2 ** 24
/** Bytes after which other work of this thread has its turn: some milliseconds. */
const TURN = 2 ** 23

/** A picture in memory: bytes by rows, [height, width, channels]. */
export interface Pixels {
  data: Uint8Array
  width: number
  height: number
  channels: Channels
}

const kernels = new Map<string, WasmModule>()
/** The kernels' memory is of one picture at a time. */
const inTurn = pLimit(1)

/**
 * Resamples the pixels of the plan's region: sums of 8-bit values with weights in 2^-PRECISION, rounded to nearest and held to 0..255, after each pass
 * as in Pillow, or at the end. Equal bytes on every machine. Pictures of three channels become gray before it where `channels` is 1.
 */
export const resample = (pixels: Pixels, { passes, fraction }: Resampling, channels: Channels): Promise<Pixels> =>
  inTurn(async () => {
    let made = pixels
    for (const axes of passes) made = await makePass(made, { ...axes, fraction }, channels)
    return made
  })

interface Axes {
  across: Axis
  down: Axis
  fraction: Fraction
}

async function makePass(pixels: Pixels, { across, down, fraction }: Axes, channels: Channels): Promise<Pixels> {
  const [width, height] = [across.first.length, down.first.length]
  const result: Pixels = { data: new Uint8Array(width * height * channels), width, height, channels }
  const rest = turns()
  const tile = Math.max(1, Math.floor(BETWEEN / (2 * roundUp(pixels.height, AT_ONCE) * channels)))
  for (let from = 0; from < width; from += tile)
    await makeTile(pixels, { across: sliceAxis(across, from, from + tile), down, fraction, result, from, rest })
  return result
}

/** Columns of the result from number `from` on, as many as `across` has. */
interface Tile extends Axes {
  result: Pixels
  from: number
  rest: (bytes: number) => Promise<void>
}

async function makeTile(pixels: Pixels, { across, down, fraction, result, from, rest }: Tile): Promise<void> {
  const { data, width, height, channels: stored } = pixels
  const { channels } = result
  const left = across.first[0]!
  const right = Math.min(width, across.first.at(-1)! + across.taps)
  const pixelsRead = roundUp(right - left, pixelsAtOnce(channels))
  const made = across.first.length
  const [stride, step, out] = [(right - left) * channels, 8 * roundUp(made * channels, AT_ONCE), made * channels]
  const wide = blocksOf(across, { size: BLOCK.across, from: left, length: pixelsRead })
  const high = blocksOf(coarser(down, fraction), { size: BLOCK.down, from: 0, length: roundUp(height, AT_ONCE) })
  const bandRows = Math.max(AT_ONCE, Math.floor(BAND / stride / AT_ONCE) * AT_ONCE)
  const outRows = Math.max(1, Math.floor(BAND / step))

  const place = layOut()
  const at = {
    wideStarts: place(4 * made),
    wide: place(wide.table.byteLength),
    highStarts: place(4 * down.first.length),
    high: place(high.table.byteLength),
    pairs: place((pixelsRead / 2) * channels * PAIR + PAIR),
    band: place(Math.max(bandRows * stride, (outRows * step) / 8) + SLACK + pixelsAtOnce(channels) * channels),
    between: place((roundUp(height, AT_ONCE) / 4) * step),
  }
  const { run, bytes } = open(channels, fraction, place(0))
  const put = (array: Int32Array | Int16Array, to: number) =>
    bytes.set(new Uint8Array(array.buffer, array.byteOffset, array.byteLength), to)
  put(
    wide.starts.map((block) => block * channels * PAIR),
    at.wideStarts,
  )
  put(wide.table, at.wide)
  put(
    high.starts.map((block) => block * step),
    at.highStarts,
  )
  put(high.table, at.high)

  for (let y = 0; y < height; y += bandRows) {
    const rows = Math.min(bandRows, height - y)
    if (right - left === width)
      bytes.set(toChannels(data.subarray(y * width * stored, (y + rows) * width * stored), stored, channels), at.band)
    else
      for (let i = 0; i < rows; i++) {
        const start = ((y + i) * width + left) * stored
        const row = data.subarray(start, start + (right - left) * stored)
        bytes.set(toChannels(row, stored, channels), at.band + i * stride)
      }
    const into = at.between + (y / 4) * step
    const groups = Math.ceil(rows / AT_ONCE)
    // biome-ignore format: the order of the kernel's parameters
    run.across!(at.band, stride, groups, stride, at.pairs, made, at.wideStarts, at.wide, wide.size, into, step)
    await rest(rows * stride)
  }
  for (let y = 0; y < down.first.length; y += outRows) {
    const rows = Math.min(outRows, down.first.length - y)
    const weights = at.high + y * high.size
    // biome-ignore format: the order of the kernel's parameters
    run.down!(at.between, step, step / 8, rows, at.highStarts + 4 * y, weights, high.size, at.band, step / 8)
    for (let i = 0; i < rows; i++) {
      const start = at.band + (i * step) / 8
      result.data.set(bytes.subarray(start, start + out), ((y + i) * result.width + from) * channels)
    }
    await rest(rows * step)
  }
}

/**
 * Weights as the kernel takes them: an output has `size` bytes, of blocks from number starts[i] on, among `length` values behind `from`.
 */
function blocksOf(axis: Axis, options: { size: number; from: number; length: number }) {
  const { first, taps, weights } = axis
  const { size, from, length } = options
  const all = length / size
  const blocks = Math.min(all, Math.ceil((taps + size - 1) / size))
  const starts = first.map((at) => Math.min(Math.floor((at - from) / size), all - blocks))
  const table = new Int16Array(first.length * blocks * 2 * size)
  for (let i = 0; i < first.length; i++)
    for (let t = 0; t < taps; t++) {
      const weight = weights[i * taps + t]!
      if (weight === 0) continue
      const place = first[i]! + t - from - starts[i]! * size
      const to = (i * blocks + Math.floor(place / size)) * 2 * size + (place % size)
      table[to] = weight >> LOW
      table[to + size] = weight & (2 ** LOW - 1)
    }
  return { starts, table, size: blocks * 4 * size }
}

/** Weights with fewer bits behind the point. */
const coarser = (axis: Axis, bits: number): Axis =>
  bits === 0 ? axis : { ...axis, weights: axis.weights.map((weight) => Math.round(weight / 2 ** bits)) }

const sliceAxis = ({ first, taps, weights }: Axis, from: number, to: number): Axis => ({
  first: first.subarray(from, to),
  taps,
  weights: weights.subarray(from * taps, to * taps),
})

/** Gives places in memory, one after another, each at a multiple of 16. */
function layOut(): (bytes: number) => number {
  let end = 0
  return (bytes) => {
    const place = end
    end = roundUp(end + bytes, 16)
    return place
  }
}

/** The kernel with at least so much memory. What is in it is left from the picture before. */
function open(channels: Channels, fraction: Fraction, needed: number): { run: WasmModule['run']; bytes: Uint8Array } {
  const key = `${channels} ${fraction}`
  const kernel = kernels.get(key) ?? loadKernel(channels, fraction)
  kernels.set(key, kernel)
  const missing = needed - kernel.memory.buffer.byteLength
  if (missing > 0) kernel.memory.grow(Math.ceil(missing / PAGE))
  return { run: kernel.run, bytes: new Uint8Array(kernel.memory.buffer) }
}

function turns(): (bytes: number) => Promise<void> {
  let done = 0
  return async (bytes) => {
    done += bytes
    if (done < TURN) return
    done = 0
    await setImmediate()
  }
}

const roundUp = (n: number, to: number): number => Math.ceil(n / to) * to
