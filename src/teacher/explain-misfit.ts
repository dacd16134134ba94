import { layouts } from '../onnx/index.js'
import type { Source } from '../source/index.js'

interface Misfit {
  source: Pick<Source, 'uri' | 'input'>
  /** The teacher's inputs, as they are declared. */
  takes: string
  /** What the runtime said; how many rows of logits one row gave; or that positions behave as rows should. */
  found: { said: string } | { rows: number } | 'positions as rows'
}

/** ONNX Runtime's words where sizes do not go together. */
const ofSizes = /dimension|shape|rank|broadcast|axis|axes/i

/** Says in words of axes and inputs why a teacher does not work with a row of the source; undefined where the runtime speaks of something else. */
export function explainMisfit({ source, takes, found }: Misfit): string | undefined {
  const happens = describe(found)
  const { kind, shape } = source.input
  return (
    happens &&
    `the teacher's input ${takes} does not take the rows of ${source.uri}, each [${shape.join(',')}]: ${happens}. Taken are ${layouts[kind]}: is the batch another axis than the first (time first), or an axis more or less? Export the teacher with the batch in front`
  )
}

function describe(found: Misfit['found']): string | undefined {
  if (found === 'positions as rows') return 'the positions of a row are taken for rows, and rows for positions'
  if ('rows' in found) return `one row gives ${found.rows} rows of logits`
  if (!ofSizes.test(found.said)) return undefined
  const [, op, node] = /while running (\w+) node\. Name:'([^']*)'/.exec(found.said) ?? []
  return `the sizes do not go together${op ? ` at its node '${node}' (${op})` : ''}`
}
