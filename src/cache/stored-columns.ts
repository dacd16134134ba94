import { DecantError } from '../errors.js'
import { codecOf } from './codecs/codec.js'
import { rowKeys } from './codecs/uniforms.js'
import { type Columns, columnsOf, columnTypes, outOfRange, type Stored } from './columns.js'
import type { Plan } from './manifest.js'
import { nextTokens } from './next-tokens.js'
import type { Rows } from './writer.js'

/**
 * The columns of `rows` behind id and label, in the order of a plan; logits are encoded by its codec.
 * @throws DecantError where one is missing, of another type or length, or holds what it must not, and where there is one too many
 */
export function storedColumns(rows: Rows, plan: Plan): Stored[] {
  checkLengths(rows)
  const given: Columns = { ...rows.columns, ...(rows.logits && encode(rows, rows.logits, plan)) }
  const columns = columnsOf(plan)
  const extra = Object.keys(given).find((name) => !columns.some((column) => column.name === name))
  if (extra !== undefined)
    throw new DecantError(
      `append: column '${extra}', expected ${columns.map(({ name }) => name).join(', ')} of codec ${plan.codec}`,
    )
  return columns.map((column) => {
    const { name, type, width } = column
    const { array } = columnTypes[type]
    const values = given[name] ?? (rows.rows === 0 ? new array(0) : undefined)
    if (!(values instanceof array))
      throw new DecantError(
        `append: column '${name}': expected ${type} (${array.name}), found ${values?.constructor.name ?? 'none'}`,
      )
    expect(`column '${name}' (${rows.rows} rows of ${width})`, rows.rows * width, values.length)
    const wrong = outOfRange(values, column)
    if (wrong !== undefined)
      throw new DecantError(`append: column '${name}': ${wrong}, expected 0 to ${column.below! - 1}`)
    return values
  })
}

function encode({ rows, ids, labels, columns }: Rows, logits: Float32Array, plan: Plan): Columns {
  const { classes, positions = 1 } = plan
  const of = positions === 1 ? '' : ` and ${positions} positions`
  expect(`logits (${rows} rows of ${classes} classes${of})`, rows * positions * classes, logits.length)
  return codecOf(plan.codec).encode({
    logits,
    classes,
    positions,
    labels: positions === 1 ? labels : plan.positionLabels && nextTokens(tokensOf(columns), { positions, classes }),
    keys: plan.codec.startsWith('sampled')
      ? rowKeys({ ids, view: columns?.view as Int32Array | undefined })
      : undefined,
  })
}

/** Who encodes logits here has the labels by position from the inputs beside them. */
function tokensOf(columns: Columns | undefined): Stored {
  if (!columns?.input)
    throw new DecantError("append: column 'input': expected the tokens, of which labels are the next ones")
  return columns.input
}

function checkLengths({ rows, ids, labels }: Rows): void {
  expect('labels', rows, labels.length)
  expect('ids', rows, ids.offsets.length - 1)
  expect('bytes of ids', ids.offsets[rows]!, ids.bytes.length)
}

function expect(what: string, expected: number, found: number): void {
  if (expected !== found) throw new DecantError(`append: ${what}: expected ${expected}, found ${found}`)
}
