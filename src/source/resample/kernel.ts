import {
  type Code,
  i32,
  load,
  loadModule,
  localsOf,
  loop,
  op,
  shuffle,
  store,
  v128,
  type WasmModule,
} from '../../wasm.js'
import type { Channels } from '../channels.js'
import { PRECISION } from './axis.js'

// The two passes of a resampling, by WebAssembly. Sums are exact: a weight of 23 bits is two of i16, high·2^LOW + low, each with sums of its
// own, because a processor multiplies eight i16 and adds the products by pairs in one instruction. Sums may wrap: what they add up to fits.

/** Bits of a weight's lower half. */
export const LOW = 12
/** Weights come in blocks, of so many pixels beside each other or rows below each other. A block's place is a multiple of it. */
export const BLOCK = { across: 2, down: 4 }
/** Rows, or columns, that a pass makes at a time. */
export const AT_ONCE = 8
/** Bytes that a pass may read behind the last row. */
export const SLACK = 16

/** Pixels of a row that `across` takes up at a time. */
export const pixelsAtOnce = (channels: Channels): number => (channels === 1 ? 8 : 2)
/** Bytes of AT_ONCE rows of a block of `across` in one channel: i16. */
export const PAIR = 32

/**
 * What `across` hands to `down`: bytes, as Pillow does; or 2^-fraction of a level, held to nothing, so that the result is rounded once, as torch and
 * OpenCV do. Weights of `down` have as many bits less.
 */
export type Fraction = 0 | 6

/**
 * The passes for pictures of so many channels, as exports of a module:
 * - `across`: rows of bytes, `stride` apart at `from`, become other columns. 8 at a time; `into` gets rows of 4 of them, `step` apart: i16
 *   [outputs·channels, 4]. `length`: bytes of a row that are read; `pairs`: room for PAIR bytes of every 2 pixels and channel; `starts` i32
 *   [outputs]: where among them an output's first block lies; `weights` [outputs, blocks, high 2, low 2] i16, `size` bytes an output.
 * - `down`: the rows of 4 that `across` made, `step` apart at `from`, become `rows` rows, `stride` apart at `into`, of `columns` bytes, a
 *   multiple of 8. `starts` i32 [rows]: where below `from` a row's first block lies; `weights` [rows, blocks, high 4, low 4] i16, `size` bytes a row.
 */
export const loadKernel = (channels: Channels, fraction: Fraction): WasmModule =>
  loadModule(1, [across(channels, fraction), down()])

const zero = v128(new Uint8Array(16))
/** Sums in 2^-bits, to nearest. */
const rounded = (bits: number): Code => {
  const half = v128(new Uint8Array(Int32Array.from({ length: 4 }, () => 2 ** (bits - 1)).buffer))
  return [half, op.add32x4, i32(bits), op.shr32x4]
}
/** Two vectors of i32 to bytes, held to 0..255, in the lower half of one. */
const toBytes: Code = [op.narrow16x8, zero, op.narrow8x16]

/** Elements of `size` bytes of two vectors, by their numbers among those of both. */
const pick = (size: 4 | 8, elements: number[]): Code =>
  shuffle(elements.flatMap((element) => Array.from({ length: size }, (_, byte) => element * size + byte)))

function across(channels: Channels, fraction: Fraction) {
  /** Sums of an output: of the upper and the lower four rows in each channel. */
  const sums = Array.from({ length: channels }, (_, channel) =>
    ['top', 'bottom'].map((rows, i) => ({ sum: `${rows}${channel}`, offset: channel * PAIR + (i * PAIR) / 2 })),
  )
  const form = {
    name: 'across',
    parameters: ['from', 'stride', 'groups', 'length', 'pairs', 'outputs', 'starts', 'weights', 'size', 'into', 'step'],
    locals: {
      i32: ['at', 'end', 'line', 'pair', 'out', 'start', 'startsEnd', 'weight', 'weightsEnd'],
      v128: [
        'a',
        'b',
        'c',
        'd',
        'ab',
        'cd',
        'high',
        'low',
        ...sums.flatMap((rows) => rows.flatMap(({ sum }) => [`${sum}High`, `${sum}Low`])),
      ],
    },
  }
  const { get, set, move } = localsOf(form)

  // 32 bits of a row are a pair: two pixels of one channel as i16. Of three channels the fourth 32 bits stay unused.
  const lanes = channels === 1 ? 4 : 3
  const spread = v128(
    [0, 1, 2, 3].flatMap((lane) => {
      const first = channels === 1 ? 2 * lane : lane
      return lane < lanes ? [first, 255, first + channels, 255] : [255, 255, 255, 255]
    }),
  )
  /** Takes four rows, and stores each pair of the four beside each other. */
  const takeRows = (offset: number): Code => [
    ['a', 'b', 'c', 'd'].map((row) => [
      set(row, [get('line'), load.v128(), spread, op.swizzle]),
      move('line', get('stride')),
    ]),
    Array.from({ length: lanes }, (_, lane) => [
      lane % 2 === 0 && [
        set('ab', [get('a'), get('b'), pick(4, [lane, lane + 4, lane + 1, lane + 5])]),
        set('cd', [get('c'), get('d'), pick(4, [lane, lane + 4, lane + 1, lane + 5])]),
      ],
      [get('pair'), get('ab'), get('cd'), pick(8, lane % 2 === 0 ? [0, 2] : [1, 3])],
      store.v128(lane * PAIR + offset),
    ]).flatMap((codes) => codes.filter((code) => code !== false)),
  ]
  const takeGroup: Code = [
    [set('at', get('from')), set('pair', get('pairs')), set('end', [get('from'), get('length'), op.add])],
    loop(
      [
        set('line', get('at')),
        [takeRows(0), takeRows(PAIR / 2)],
        move('at', i32(pixelsAtOnce(channels) * channels)),
        move('pair', i32(lanes * PAIR)),
      ],
      [get('at'), get('end'), op.less],
    ),
  ]

  const makeOutput: Code = [
    sums.flat().map(({ sum }) => [set(`${sum}High`, zero), set(`${sum}Low`, zero)]),
    set('pair', [get('pairs'), get('start'), load.i32(), op.add]),
    set('weightsEnd', [get('weight'), get('size'), op.add]),
    loop(
      [
        [set('high', [get('weight'), load.splat32()]), set('low', [get('weight'), load.splat32(4)])],
        sums
          .flat()
          .map(({ sum, offset }) => [
            set('a', [get('pair'), load.v128(offset)]),
            set(`${sum}High`, [get(`${sum}High`), get('a'), get('high'), op.dot16x8, op.add32x4]),
            set(`${sum}Low`, [get(`${sum}Low`), get('a'), get('low'), op.dot16x8, op.add32x4]),
          ]),
        move('pair', i32(channels * PAIR)),
        move('weight', i32(8)),
      ],
      [get('weight'), get('weightsEnd'), op.less],
    ),
    sums.map((rows) => [
      set('a', [
        rows.map(({ sum }) => [
          [get(`${sum}High`), i32(LOW), op.shl32x4, get(`${sum}Low`), op.add32x4],
          rounded(PRECISION - fraction),
        ]),
        fraction === 0 ? [toBytes, op.extendLow8x8] : op.narrow16x8,
      ]),
      [get('out'), get('a'), store.lane64(0)],
      [get('out'), get('step'), op.add, get('a'), store.lane64(1)],
      move('out', i32(8)),
    ]),
  ]
  const makeGroup: Code = [
    [set('out', get('into')), set('start', get('starts')), set('weight', get('weights'))],
    set('startsEnd', [get('starts'), get('outputs'), i32(2), op.shl, op.add]),
    loop([makeOutput, move('start', i32(4))], [get('start'), get('startsEnd'), op.less]),
  ]
  const body = loop(
    [
      [takeGroup, makeGroup],
      move('from', [get('stride'), i32(3), op.shl]),
      move('into', [get('step'), i32(1), op.shl]),
      move('groups', i32(-1)),
    ],
    get('groups'),
  )
  return { ...form, body }
}

function down() {
  const sums = [0, 1, 2, 3].flatMap((i) => [`high${i}`, `low${i}`])
  const form = {
    name: 'down',
    parameters: ['from', 'step', 'columns', 'rows', 'starts', 'weights', 'size', 'into', 'stride'],
    locals: {
      i32: ['at', 'end', 'block', 'out', 'weight', 'weightsEnd'],
      v128: ['high', 'low', 'a', 'b', ...sums],
    },
  }
  const { get, set, move } = localsOf(form)

  /** Two columns of four rows. */
  const addProducts = (i: number): Code => [
    set('a', [get('block'), load.v128(16 * i)]),
    set(`high${i}`, [get(`high${i}`), get('a'), get('high'), op.dot16x8, op.add32x4]),
    set(`low${i}`, [get(`low${i}`), get('a'), get('low'), op.dot16x8, op.add32x4]),
  ]
  const joined = (i: number): Code => [get(`high${i}`), i32(LOW), op.shl32x4, get(`low${i}`), op.add32x4]
  /** Four columns: each has the sums of two rows and of the other two beside each other. */
  const columns = (i: number): Code => [
    [set('a', joined(i)), set('b', joined(i + 1))],
    [get('a'), get('b'), pick(4, [0, 2, 4, 6])],
    [get('a'), get('b'), pick(4, [1, 3, 5, 7])],
    [op.add32x4, rounded(PRECISION)],
  ]
  const makeColumns: Code = [
    sums.map((sum) => set(sum, zero)),
    [set('block', get('at')), set('weight', get('weights'))],
    loop(
      [
        [set('high', [get('weight'), load.splat64()]), set('low', [get('weight'), load.splat64(8)])],
        [0, 1, 2, 3].map(addProducts),
        move('block', get('step')),
        move('weight', i32(16)),
      ],
      [get('weight'), get('weightsEnd'), op.less],
    ),
    [get('out'), columns(0), columns(2), toBytes, store.lane64(0)],
  ]
  const body = loop(
    [
      set('at', [get('from'), get('starts'), load.i32(), op.add]),
      set('end', [get('at'), get('columns'), i32(3), op.shl, op.add]),
      [set('out', get('into')), set('weightsEnd', [get('weights'), get('size'), op.add])],
      loop([makeColumns, move('at', i32(8 * AT_ONCE)), move('out', i32(AT_ONCE))], [get('at'), get('end'), op.less]),
      [set('weights', get('weightsEnd')), move('starts', i32(4)), move('into', get('stride'))],
      move('rows', i32(-1)),
    ],
    get('rows'),
  )
  return { ...form, body }
}
