import { followLayout } from './layout.js'
import { blockedRules } from './lower-blocked.js'
import { convolutionRules } from './lower-conv.js'
import { poolRules } from './lower-pool.js'
import { type Outputs, rewrite } from './rewrite.js'

const firstRules = { ...convolutionRules, ...poolRules }

export interface LowerOptions {
  /** Channels in a block of ONNX Runtime's blocked layout on this processor, where the provider has that layout. */
  block?: number
}

/**
 * Writes tfjs's convolutions and pools, which are NHWC, as operators of ONNX, which are NCHW, or of the blocked layout.
 * A value that comes out of one of them stays in its layout through whatever does not mind, and is converted where it
 * has to be.
 */
export function lower(outputs: Outputs, { block }: LowerOptions = {}): Outputs {
  return rewrite(outputs, (node, inputs, { graph }) => {
    const blocked = block === undefined ? undefined : blockedRules[node.op]?.(node, inputs, graph, block)
    return blocked ?? firstRules[node.op]?.(node, inputs, graph) ?? followLayout(node, inputs, graph, block)
  })
}
