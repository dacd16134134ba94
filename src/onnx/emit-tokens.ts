import type { ValueInfoProto } from 'onnx-buf'
import { DecantError } from '../errors.js'
import { printShape, printValueInfo, type ValueInfo } from './describe-model.js'
import type { ElementName } from './dtypes.js'
import { type Emit, emitCast } from './emit-ops.js'
import { fits, floats, integers } from './emit-pixels.js'
import { makeValueInfo } from './graph-builder.js'

export interface TokensInput {
  kind: 'tokens'
  /** L, of every row, padding included. */
  length: number
}

/** What a teacher of tokens may take, by the names that PyTorch's transformers give them; a lone input is the ids, whatever its name. */
export const tokenRoles = ['input_ids', 'attention_mask', 'token_type_ids', 'position_ids'] as const
/** `tokens`: what decant's own students take, a lone int32 input of that name: the tokens with their padding. */
type TokenRole = (typeof tokenRoles)[number] | 'tokens'

export interface EmittedTokens {
  /** Declaration of 'tokens', int32 [N, L]; -1 = padding. */
  feed: ValueInfoProto
  /** Name of a bool [N, L]: is it a token, not padding? */
  valid: string
}

/**
 * In front of the teacher: 'tokens' as what it takes. input_ids: the tokens, padding as 0; attention_mask: 1 at tokens, 0 at
 * padding; token_type_ids: 0; position_ids: 0..L-1; a student's `tokens`: as they are. Throws DecantError for other inputs, and where the shapes do not fit.
 */
export function emitTokens(
  emit: Emit,
  options: { tokens: TokensInput; batch: string; inputs: readonly ValueInfo[] },
): EmittedTokens {
  const { tokens, batch, inputs } = options
  const { builder } = emit
  if (emit.opset < 9) {
    throw new DecantError(`a teacher of tokens: expected operator set 9 or later, found ${emit.opset}`)
  }
  const shape = [batch, tokens.length]
  const valid = builder.node('Not', [
    builder.node('Less', ['tokens', builder.constant('int32', Int32Array.of(0), [], 'zero')]),
  ])
  const ones = emitCast(emit, valid, 'int32')
  const ids = builder.node('Mul', ['tokens', ones])
  const positions = () => {
    const range = Int32Array.from({ length: tokens.length }, (_, i) => i)
    const row = builder.constant('int32', range, [1, tokens.length], 'positions')
    return builder.node('Expand', [row, builder.node('Shape', ['tokens'])])
  }
  const values: Record<TokenRole, () => string> = {
    input_ids: () => ids,
    attention_mask: () => ones,
    token_type_ids: () => builder.node('Sub', [ids, ids]),
    position_ids: positions,
    tokens: () => 'tokens',
  }
  for (const [role, input] of rolesOf(inputs)) {
    const types = role === 'attention_mask' ? [...integers, ...floats, 'bool'] : ['int64', 'int32']
    if (!types.includes(input.dtype)) {
      throw new DecantError(
        `expected ${role} of int64 or int32 from the teacher, found ${printValueInfo(input)}. Integers of a source are tokens: numbers are to be saved as float32`,
      )
    }
    if (input.shape && !fits(shape, input.shape)) {
      throw new DecantError(
        `the teacher's input ${printValueInfo(input)} does not fit the tokens: they give ${printShape(shape)}`,
      )
    }
    const value = emitCast(emit, values[role](), input.dtype as ElementName)
    builder.node('Identity', [value], {}, { outputs: [input.name] })
  }
  return { feed: makeValueInfo('tokens', 'int32', shape), valid }
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

function rolesOf(inputs: readonly ValueInfo[]): [TokenRole, ValueInfo][] {
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
