import { followLayout } from './layout.js'
import { convolutionRules } from './lower-conv.js'
import { poolRules } from './lower-pool.js'
import { type Outputs, rewrite } from './rewrite.js'

const rules = { ...convolutionRules, ...poolRules }

/**
 * Writes tfjs's convolutions and pools, which are NHWC, as ONNX's, which are NCHW. A value that comes out of one of them
 * stays NCHW through whatever does not mind, and is transposed where it has to be.
 */
export function lower(outputs: Outputs): Outputs {
  return rewrite(outputs, (node, inputs, context) => {
    const rule = rules[node.op]
    return rule ? rule(node, inputs, context.graph) : followLayout(node, inputs, context)
  })
}
