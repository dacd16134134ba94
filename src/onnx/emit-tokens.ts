import type { ValueInfoProto } from 'onnx-buf'
import { DecantError } from '../errors.js'
import { printShape, printValueInfo, type ValueInfo } from './describe-model.js'
import type { ElementName } from './dtypes.js'
import { type Emit, emitCast, emitRowReduce } from './emit-ops.js'
import { fits, floats, integers } from './emit-pixels.js'
import { makeValueInfo } from './graph-builder.js'
import { layouts } from './layouts.js'

export interface TokensInput {
  kind: 'tokens'
  /** L, of every row, padding included. */
  length: number
  /** The id that the teacher is fed at padding. Default 0. */
  pad?: number
  /** Where the teacher is fed padding; in 'tokens', and in what comes out, it is always on the right. Default right. */
  side?: 'left' | 'right'
}

/** What a teacher of tokens may take, by the names that PyTorch's transformers give them; a lone input is the ids, whatever its name. */
export const tokenRoles = ['input_ids', 'attention_mask', 'token_type_ids', 'position_ids'] as const
/** `tokens`: what decant's own students take, a lone int32 input of that name: the tokens with their padding. */
type TokenRole = (typeof tokenRoles)[number] | 'tokens'

export interface EmittedTokens {
  /** Declaration of 'tokens', int32 [N, L]; -1 = padding. */
  feed: ValueInfoProto
  /** Name of a bool [N, L]: is it a token, not padding? In the order of 'tokens'. */
  valid: string
  /** Name of an int64 [N·L], where the teacher has them elsewhere: for each position of 'tokens' where it lies in the teacher's [N·L]. */
  moved: string | undefined
}

/**
 * In front of the teacher: 'tokens' as what it takes. input_ids: the tokens, and `pad` at padding; attention_mask: 1 at tokens, 0 at
 * padding; token_type_ids: 0; position_ids: 0, 1, … from the first token; a student's `tokens`: as they are. Throws DecantError for
 * other inputs, and where the shapes do not fit.
 */
export function emitTokens(
  emit: Emit,
  options: { tokens: TokensInput; batch: string | number; inputs: readonly ValueInfo[] },
): EmittedTokens {
  const { tokens, batch, inputs } = options
  const { builder } = emit
  const roles = rolesOf(inputs)
  const left = tokens.side === 'left' && roles.every(([role]) => role !== 'tokens')
  const least = left ? 11 : 9
  if (emit.opset < least) {
    throw new DecantError(
      `a teacher of tokens${left ? ', padded on the left' : ''}: expected operator set ${least} or later, found ${emit.opset}`,
    )
  }
  const shape = [batch, tokens.length]
  const valid = builder.node('Not', [
    builder.node('Less', ['tokens', builder.constant('int32', Int32Array.of(0), [], 'zero')]),
  ])
  const pad = builder.constant('int32', Int32Array.of(tokens.pad ?? 0), [], 'pad')
  const fed = left
    ? emitLeft(emit, { length: tokens.length, valid })
    : emitRight(emit, { length: tokens.length, valid })
  const ids = builder.node('Where', [fed.valid, fed.tokens, pad])
  const values: Record<TokenRole, () => string> = {
    input_ids: () => ids,
    attention_mask: () => emitCast(emit, fed.valid, 'int32'),
    token_type_ids: () => builder.node('Sub', [ids, ids]),
    position_ids: fed.positions,
    tokens: () => 'tokens',
  }
  for (const [role, input] of roles) {
    const types = role === 'attention_mask' ? [...integers, ...floats, 'bool'] : ['int64', 'int32']
    if (!types.includes(input.dtype)) {
      throw new DecantError(
        `expected ${role} of int64 or int32 from the teacher, found ${printValueInfo(input)}. Integers of a source are tokens: numbers are to be saved as float32`,
      )
    }
    if (input.shape && !fits(shape, input.shape)) {
      throw new DecantError(
        `the teacher's input ${printValueInfo(input)} does not fit the tokens: they give ${printShape(shape)}. Taken are ${layouts.tokens}`,
      )
    }
    const value = emitCast(emit, values[role](), input.dtype as ElementName)
    builder.node('Identity', [value], {}, { outputs: [input.name] })
  }
  return { feed: makeValueInfo('tokens', 'int32', shape), valid, moved: fed.moved }
}

/** What the teacher's inputs are made of, in its order: int32 tokens [N, L] (anything at padding), which of them are, their numbers. */
interface Fed {
  tokens: string
  valid: string
  positions: () => string
  moved: string | undefined
}

function emitRight({ builder }: Emit, { length, valid }: { length: number; valid: string }): Fed {
  const positions = () => {
    const range = Int32Array.from({ length }, (_, i) => i)
    const row = builder.constant('int32', range, [1, length], 'positions')
    return builder.node('Expand', [row, builder.node('Shape', ['tokens'])])
  }
  return { tokens: 'tokens', valid, positions, moved: undefined }
}

/** A row of n tokens begins at s = L - n: what the teacher has at j is the token j - s, and the token at i lies at i + s. */
function emitLeft(emit: Emit, { length, valid }: { length: number; valid: string }): Fed {
  const { builder } = emit
  const zero = builder.i64([0])
  const L = builder.i64([length])
  const places = builder.constant(
    'int64',
    BigInt64Array.from({ length }, (_, i) => BigInt(i)),
    [1, length],
    'places',
  )
  const seen = emitCast(emit, valid, 'int64')
  const start = builder.node('Sub', [L, emitRowReduce(emit, 'ReduceSum', seen, { keepdims: true })])
  const rows = builder.node('Gather', [builder.node('Shape', ['tokens']), builder.i64(0)])
  const counted = builder.node('Range', [builder.i64(0), rows, builder.i64(1)])
  const base = builder.node('Mul', [builder.node('Reshape', [counted, builder.i64([-1, 1])]), L])
  const number = builder.node('Sub', [places, start])
  const fedValid = builder.node('Not', [builder.node('Less', [number, zero])])
  const from = builder.node('Mul', [number, emitCast(emit, fedValid, 'int64')])
  const flat = builder.node('Reshape', ['tokens', builder.i64([-1])])
  const to = builder.node('Mul', [builder.node('Add', [places, start]), seen])
  return {
    tokens: builder.node('Gather', [flat, builder.node('Add', [base, from])]),
    valid: fedValid,
    positions: () => from,
    moved: builder.node('Reshape', [builder.node('Add', [base, to]), builder.i64([-1])]),
  }
}

/** int32 [N, L]: at each position of 'tokens' the next one; -1 at the last, and where it is no class. As src/cache/next-tokens.ts. */
export function emitNextTokens({ builder }: Emit, { length, classes }: { length: number; classes: number }): string {
  const int32 = (value: number, name: string) => builder.constant('int32', Int32Array.of(value), [1], name)
  const part = (from: number, to: number) =>
    builder.node('Slice', ['tokens', builder.i64([from]), builder.i64([to]), builder.i64([1])])
  const none = int32(-1, 'none')
  const last = builder.node('Add', [builder.node('Mul', [part(0, 1), int32(0, 'zero')]), none])
  const next = builder.node('Concat', [part(1, length), last], { axis: 1 })
  return builder.node('Where', [builder.node('Less', [next, int32(classes, 'classes')]), next, none])
}

export function rolesOf(inputs: readonly ValueInfo[]): [TokenRole, ValueInfo][] {
  if (inputs.length === 1) {
    const [{ name, dtype }] = inputs as [ValueInfo]
    return [[/(^|\/)tokens$/.test(name) && dtype === 'int32' ? 'tokens' : 'input_ids', inputs[0]!]]
  }
  const isRole = (name: string): name is (typeof tokenRoles)[number] => (tokenRoles as readonly string[]).includes(name)
  const strange = inputs.filter(({ name }) => !isRole(name))
  if (strange.length > 0 || !inputs.some(({ name }) => name === 'input_ids')) {
    const past = strange.some(({ name }) => /^past_/.test(name))
      ? '; export it without its cache of keys and values'
      : ''
    throw new DecantError(
      `expected a teacher of tokens with one input, or input_ids with ${tokenRoles.slice(1).join(', ')}; found ${inputs.map(printValueInfo).join(', ')}${past}`,
    )
  }
  return inputs.map((input) => [input.name as TokenRole, input])
}
