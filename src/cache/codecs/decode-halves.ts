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

/** Of WebAssembly what is used here: Node's types have no values of it. */
interface Loader {
  Module: new (bytes: Uint8Array) => object
  Instance: new (module: object) => { exports: { memory: { buffer: ArrayBuffer }; run: Kernel['run'] } }
}

let kernel: Kernel | undefined

function loadKernel(): Kernel {
  const { Module, Instance } = (globalThis as unknown as { WebAssembly: Loader }).WebAssembly
  const { memory, run } = new Instance(new Module(assemble())).exports
  const { buffer } = memory
  return {
    run,
    halvesAt: new Uint16Array(buffer, 0, BLOCK),
    valuesAt: new Float32Array(buffer, OUT, BLOCK),
    shiftAt: new Float32Array(buffer, SHIFT, BLOCK),
  }
}

/**
 * The kernel as a WebAssembly module, four halves at a time. A half's 15 lower bits, moved up by 13, are a float32 that is 2^112 times too
 * small: one product makes it right, subnormal ones too. Exponent 31 gives an ordinary number there and has to become exponent 255.
 */
function assemble(): Uint8Array<ArrayBuffer> {
  const [rows, width, halves, values, shifts, end] = [0, 1, 2, 3, 4, 5] // locals; the first two are the parameters
  const [half, shift] = [6, 7]
  const special = splat(0x0f800000) // exponent 31, moved up
  const body = [
    [set(values!, constant(OUT)), set(shifts!, constant(SHIFT))],
    loop([
      set(end!, [get(halves!), get(width!), constant(1), op.shl, op.add]),
      set(shift!, [get(shifts!), op.load32Splat]),
      loop([
        set(half!, [get(halves!), op.load16x4Signed, constant(13), op.shlEach, splat(0x8fffe000), op.and]),
        get(values!),
        [get(half!), splat(0x77800000), op.multiplyEach], // by 2^112
        [get(half!), special, op.and, special, op.equalEach, splat(0x7f800000), op.and, op.or],
        [get(shift!), op.addEach, op.store],
        set(values!, [get(values!), constant(16), op.add]),
        set(halves!, [get(halves!), constant(8), op.add]),
        [get(halves!), get(end!), op.less, op.again],
      ]),
      // back by what the last vector went beyond the row: the next one overwrites it
      set(values!, [get(values!), get(halves!), get(end!), op.subtract, constant(1), op.shl, op.subtract]),
      set(halves!, get(end!)),
      set(shifts!, [get(shifts!), constant(4), op.add]),
      [set(rows!, [get(rows!), constant(1), op.subtract]), get(rows!), op.again],
    ]),
    op.end,
  ]
  const locals = [2, ...[4, I32], ...[2, V128]]
  const code = bytesOf([locals, body])
  return Uint8Array.from([
    ...[0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0], // '\0asm', version 1
    ...section(1, [1, 0x60, 2, I32, I32, 0]), // a type: (i32, i32) → ()
    ...section(3, [1, 0]), // a function of it
    ...section(5, [1, 0, Math.ceil((SHIFT + 4 * BLOCK) / 65_536)]), // a memory, in pages
    ...section(7, [2, ...named('memory', 2), ...named('run', 0)]), // exports
    ...section(10, [1, ...unsigned(code.length), ...code]),
  ])
}

type Code = number | Code[]

const [I32, V128] = [0x7f, 0x7b]
const simd = (code: number): Code => [0xfd, unsigned(code)]
/** Opcodes by what they do; those of memory are followed by alignment and offset. */
const op = {
  add: 0x6a,
  subtract: 0x6b,
  shl: 0x74,
  less: 0x49,
  again: [0x0d, 0],
  end: 0x0b,
  load16x4Signed: [simd(3), 0, 0],
  load32Splat: [simd(9), 0, 0],
  store: [simd(11), 0, 0],
  and: simd(78),
  or: simd(80),
  equalEach: simd(55),
  shlEach: simd(171),
  addEach: simd(228),
  multiplyEach: simd(230),
} satisfies Record<string, Code>

const get = (local: number): Code => [0x20, local]
const set = (local: number, value: Code): Code => [value, 0x21, local]
const constant = (value: number): Code => [0x41, signed(value)]
/** The same 32 bits four times. */
const splat = (bits: number): Code => [
  simd(12),
  [0, 1, 2, 3].map(() => [...new Uint8Array(Uint32Array.of(bits).buffer)]),
]
const loop = (body: Code): Code => [0x03, 0x40, body, op.end]

const bytesOf = (code: Code): number[] => (typeof code === 'number' ? [code] : code.flatMap(bytesOf))
const section = (id: number, content: number[]): number[] => [id, ...unsigned(content.length), ...content]
const named = (name: string, kind: number): number[] => [name.length, ...Buffer.from(name), kind, 0]

/** LEB128 */
function unsigned(value: number): number[] {
  return value < 128 ? [value] : [(value & 127) | 128, ...unsigned(value >>> 7)]
}

function signed(value: number): number[] {
  return value < 64 ? [value & 127] : [(value & 127) | 128, ...signed(value >> 7)]
}
