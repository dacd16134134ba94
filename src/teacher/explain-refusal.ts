/** What ONNX Runtime 1.30 says of a model that it does not take, and what that means to who exported it. */
const explanations: [RegExp, (found: string[]) => string][] = [
  [
    /Unsupported model IR version: (\d+), max supported IR version: (\d+)/,
    ([ir, most]) =>
      `it is of IR version ${ir}, this ONNX Runtime reads up to ${most}: export it with an older onnx, or in Python set model.ir_version = ${most} and save it again`,
  ],
  [
    /Opset (\d+) is under development.* support for domain (\S+) is till opset (\d+)/,
    ([opset, domain, most]) =>
      domain === 'ai.onnx'
        ? `it is of operator set ${opset}, this ONNX Runtime runs up to ${most}: export it for ${most}, or convert it with onnx.version_converter.convert_version(model, ${most})`
        : `it is of operator set ${opset} of ${domain}, this ONNX Runtime runs up to ${most}: export it for ${most}`,
  ],
  [
    /Node, \("(.*?)", \w+, .*? No Op registered for (\S+) with domain_version of (\d+)/,
    ([node, op, opset]) =>
      `its node '${node}' is ${op}, which operator set ${opset} does not have: export it for the operator set that has it, or without it`,
  ],
  [
    /(\S+):(\w+)\(-?\d+\) is not a registered function\/op/,
    ([domain, op]) => `ONNX Runtime has no operator ${op} of ${domain}: export the model without it`,
  ],
  [
    /No opset import for domain '(.*?)'/,
    ([domain]) =>
      `it has operators of '${domain}', and does not say which version of them: export it again with a newer converter`,
  ],
  [
    /Could not find an implementation for (\w+)\((\d+)\) node with name '(.*?)'/,
    ([op, opset, node]) =>
      `ONNX Runtime does not run its node '${node}', ${op} of operator set ${opset}, on such values: export it in float32, or without that operator`,
  ],
  [
    /(?:invalid model\.|Type Error:) (?:Type Error: )?(.*?)\.?$/,
    ([words]) =>
      `ONNX Runtime finds it invalid: ${words}; look at it with onnx.checker.check_model, and export it again`,
  ],
]

/** In one line, and without its file's name, what is wrong with a model that the runtime refuses; undefined where the refusal is not about the model. */
export function explainRefusal(reason: string): string | undefined {
  for (const [pattern, explain] of explanations) {
    const found = pattern.exec(reason)
    if (found) return explain(found.slice(1))
  }
  return undefined
}
