import { i32, load, loadModule, localsOf, loop, op, PAGE, splat, store, type WasmFunction } from '../../wasm.js'

/** n rows of `width` float16, and the float32 that is added to each row. */
export interface HalfRows {
  /** [n, width], as bits */
  halves: Uint16Array
  /** [n] */
  shift: Float32Array
  width: number
}

/** Halves that the kernel takes at a time: in, out and shifts lie in the processor's nearer cache. */
const BLOCK = 16_384
/** What the last vector of a row may read and write beyond it: 4 values. */
const SLACK = 64
const OUT = 2 * BLOCK + SLACK
const SHIFT = OUT + 4 * BLOCK + SLACK

/**
 * float32(half) + shift, [n, width], into the start of `into`; bit-equal to the sum in float64 rounded to float32. Exact for subnormal
 * halves, ±∞ and NaN stay what they are.
 */
export function decodeHalves(
  { halves, shift, width }: HalfRows,
  into: Float32Array = new Float32Array(halves.length),
): Float32Array {
  kernel ??= loadKernel()
  const { run, halvesAt, valuesAt, shiftAt } = kernel
  const rows = Math.max(1, Math.floor(BLOCK / width))
  const step = rows * Math.min(width, BLOCK)
  for (let at = 0; at < halves.length; ) {
    // of rows that are longer than a block, one at a time and in pieces
    const row = Math.floor(at / width)
    const count = Math.min(step, halves.length - at, width > BLOCK ? (row + 1) * width - at : step)
    halvesAt.set(halves.subarray(at, at + count))
    const piece = Math.min(width, count)
    shiftAt.set(shift.subarray(row, row + count / piece))
    run(count / piece, piece)
    into.set(valuesAt.subarray(0, count), at)
    at += count
  }
  return into.length === halves.length ? into : into.subarray(0, halves.length)
}

interface Kernel {
  run(rows: number, width: number): void
  halvesAt: Uint16Array
  valuesAt: Float32Array
  shiftAt: Float32Array
}

let kernel: Kernel | undefined

function loadKernel(): Kernel {
  const { memory, run } = loadModule(Math.ceil((SHIFT + 4 * BLOCK) / PAGE), [decode])
  const { buffer } = memory
  return {
    run: run.decode!,
    halvesAt: new Uint16Array(buffer, 0, BLOCK),
    valuesAt: new Float32Array(buffer, OUT, BLOCK),
    shiftAt: new Float32Array(buffer, SHIFT, BLOCK),
  }
}

const form = {
  name: 'decode',
  parameters: ['rows', 'width'],
  locals: { i32: ['halves', 'values', 'shifts', 'end'], v128: ['half', 'shift'] },
}
const { get, set, move } = localsOf(form)
const special = splat(0x0f800000) // exponent 31, moved up

/**
 * Four halves at a time. A half's 15 lower bits, moved up by 13, are a float32 that is 2^112 times too small: one product makes it right,
 * subnormal ones too. Exponent 31 gives an ordinary number there and has to become exponent 255.
 */
const decode: WasmFunction = {
  ...form,
  body: [
    [set('values', i32(OUT)), set('shifts', i32(SHIFT))],
    loop(
      [
        set('end', [get('halves'), get('width'), i32(1), op.shl, op.add]),
        set('shift', [get('shifts'), load.splat32()]),
        loop(
          [
            set('half', [get('halves'), load.i16x4(), i32(13), op.shl32x4, splat(0x8fffe000), op.and]),
            get('values'),
            [get('half'), splat(0x77800000), op.multiplyFloat32x4], // by 2^112
            [get('half'), special, op.and, special, op.equal32x4, splat(0x7f800000), op.and, op.or],
            [get('shift'), op.addFloat32x4, store.v128()],
            move('values', i32(16)),
            move('halves', i32(8)),
          ],
          [get('halves'), get('end'), op.less],
        ),
        // back by what the last vector went beyond the row: the next one overwrites it
        set('values', [get('values'), get('halves'), get('end'), op.subtract, i32(1), op.shl, op.subtract]),
        set('halves', get('end')),
        move('shifts', i32(4)),
        move('rows', i32(-1)),
      ],
      get('rows'),
    ),
  ],
}
