/**
 * The labels of a causal language model by position, [n, positions]: the token at the next one; -1 at the last one, before padding, and
 * where that token is no class. src/onnx/emit-tokens.ts says the same as a graph.
 * @param tokens [n, positions], -1 = padding
 */
export function nextTokens(
  tokens: ArrayLike<number>,
  options: { positions: number; classes: number; into?: Int32Array },
): Int32Array {
  const { positions, classes, into = new Int32Array(tokens.length) } = options
  for (let at = 0; at < tokens.length; at++) {
    const next = (at + 1) % positions === 0 ? -1 : tokens[at + 1]!
    into[at] = next < classes ? next : -1
  }
  return into
}
