// WebAssembly modules written as code: what loops over bytes or numbers runs several times as fast with vectors, and a module of some
// hundred bytes needs no compiler. Numbers are those of the specification (WebAssembly 2.0, chapter 5, "Binary Format").

/** Instructions in order, as bytes in lists of any depth. */
export type Code = number | Code[]

/** A function that is exported. All of its parameters are i32, and it returns nothing. */
export interface WasmFunction {
  name: string
  parameters: string[]
  /** Other locals, by their type. They begin as 0. */
  locals: { i32?: string[]; v128?: string[] }
  body: Code
}

/** What a module exports: its functions, and its memory, which begins with `pages` of 64 KiB. */
export interface WasmModule {
  memory: { readonly buffer: ArrayBuffer; grow(pages: number): number }
  run: Record<string, (...values: number[]) => void>
}

/** Of WebAssembly what is used here: Node's types have no values of it. */
interface Loader {
  Module: new (bytes: Uint8Array) => object
  Instance: new (module: object) => { exports: object }
}

const [I32, V128] = [0x7f, 0x7b]
const END = 0x0b
export const PAGE = 65_536

/** Assembles and starts a module with a memory of its own. `make` gets the indices of the locals by their names. */
export function loadModule(pages: number, functions: WasmFunction[]): WasmModule {
  const types = functions.map(({ parameters }) => [0x60, vector(parameters.map(() => I32)), vector([])])
  const codes = functions.map(({ locals: { i32 = [], v128 = [] }, body }) => {
    const locals = vector([
      [unsigned(i32.length), I32],
      [unsigned(v128.length), V128],
    ])
    return sized([locals, body, END])
  })
  const bytes = bytesOf([
    [0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0], // '\0asm', version 1
    section(1, vector(types)),
    section(3, vector(functions.map((_, i) => unsigned(i)))),
    section(5, vector([[0, unsigned(pages)]])),
    section(7, vector([exported('memory', 2, 0), ...functions.map(({ name }, i) => exported(name, 0, i))])),
    section(10, vector(codes)),
  ])
  const { Module, Instance } = (globalThis as unknown as { WebAssembly: Loader }).WebAssembly
  const { memory, ...run } = new Instance(new Module(Uint8Array.from(bytes))).exports as WasmModule['run'] &
    Pick<WasmModule, 'memory'>
  return { memory, run }
}

/** Instructions that read and write a function's locals by their names. */
export function localsOf({ parameters, locals: { i32 = [], v128 = [] } }: Omit<WasmFunction, 'body'>) {
  const names = [...parameters, ...i32, ...v128]
  const at = (name: string): Code => {
    const index = names.indexOf(name)
    if (index < 0) throw new RangeError(`no local is named ${name}`)
    return unsigned(index)
  }
  return {
    get: (name: string): Code => [0x20, at(name)],
    set: (name: string, value: Code): Code => [value, 0x21, at(name)],
    /** Adds to an i32. */
    move: (name: string, by: Code): Code => [0x20, at(name), by, op.add, 0x21, at(name)],
  }
}

const simd = (code: number): Code => [0xfd, unsigned(code)]

/** Instructions by what they do. What they take is on the stack. */
export const op = {
  add: 0x6a,
  subtract: 0x6b,
  shl: 0x74,
  less: 0x49, // unsigned
  and: simd(78),
  or: simd(80),
  swizzle: simd(14),
  equal32x4: simd(55),
  narrow16x8: simd(133), // i32x4 to i16, saturating
  narrow8x16: simd(102), // i16x8 to u8, saturating
  extendLow8x8: simd(137), // u8 to i16
  shl32x4: simd(171),
  shr32x4: simd(172), // signed
  add32x4: simd(174),
  dot16x8: simd(186), // products of i16, summed by pairs into i32x4
  addFloat32x4: simd(228),
  multiplyFloat32x4: simd(230),
} satisfies Record<string, Code>

// Addresses are aligned to nothing (0): it is a hint, and of no consequence on the processors of today.
const memoryAt = (code: number, offset: number): Code => [simd(code), 0, unsigned(offset)]
export const load = {
  i32: (offset = 0): Code => [0x28, 0, unsigned(offset)],
  v128: (offset = 0): Code => memoryAt(0, offset),
  /** Four i16 as i32. */
  i16x4: (offset = 0): Code => memoryAt(3, offset),
  /** 32 bits four times, 64 bits twice. */
  splat32: (offset = 0): Code => memoryAt(9, offset),
  splat64: (offset = 0): Code => memoryAt(10, offset),
}
export const store = {
  v128: (offset = 0): Code => memoryAt(11, offset),
  /** 64 bits of the two. */
  lane64: (lane: number): Code => [memoryAt(91, 0), lane],
}

export const i32 = (value: number): Code => [0x41, signed(value)]
/** A vector of 16 bytes. */
export const v128 = (bytes: ArrayLike<number>): Code => [simd(12), Array.from(bytes)]
/** The same 32 bits four times. */
export const splat = (bits: number): Code => v128(new Uint8Array(Uint32Array.of(bits, bits, bits, bits).buffer))
/** 16 bytes of two vectors, by their places in the 32 that the two are. */
export const shuffle = (places: number[]): Code => [simd(13), places]

/** Runs `body`, and again as long as `again` is not 0. */
export const loop = (body: Code, again: Code): Code => [0x03, 0x40, body, again, [0x0d, 0], END]

function bytesOf(code: Code): number[] {
  const bytes: number[] = []
  const walk = (code: Code): unknown => (typeof code === 'number' ? bytes.push(code) : code.forEach(walk))
  walk(code)
  return bytes
}

const sized = (content: Code): Code => {
  const bytes = bytesOf(content)
  return [unsigned(bytes.length), bytes]
}
const vector = (items: Code[]): Code => [unsigned(items.length), items]
const section = (id: number, content: Code): Code => [id, sized(content)]
const exported = (name: string, kind: number, index: number): Code => [
  sized([...Buffer.from(name)]),
  kind,
  unsigned(index),
]

/** LEB128 */
function unsigned(value: number): number[] {
  return value < 128 ? [value] : [(value & 127) | 128, ...unsigned(value >>> 7)]
}

function signed(value: number): number[] {
  return value >= -64 && value < 64 ? [value & 127] : [(value & 127) | 128, ...signed(value >> 7)]
}
