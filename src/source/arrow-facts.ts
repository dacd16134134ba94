import { z } from 'zod'
import { FormatError } from '../errors.js'
import { parseJson } from '../json.js'
import type { ArrowField, ArrowSchema, ArrowType } from './arrow-schema.js'
import type { ArrayType } from './table.js'

/**
 * What an Arrow schema says of a column beyond the type of its cells. Parquet files of Arrow's writers hold one, too (key ARROW:schema), and those of
 * pandas what its columns were (key pandas, https://pandas.pydata.org/docs/development/developer.html).
 */
export interface ColumnFacts {
  /** Each row is an array of numbers of one shape. */
  array?: ArrayType
  /** Why it is one that is not read. */
  problem?: string
  /** The dictionary is in the order of the classes, and has as many entries, where that is said. */
  categories?: { ordered: boolean; count?: number | undefined }
}

/** Of the columns of which there is something to say. `pandas`: its metadata, as it is in the file. */
export function columnFacts(schema: ArrowSchema | undefined, pandas: string | undefined): Map<string, ColumnFacts> {
  const facts = new Map<string, ColumnFacts>()
  const categorical = categoricalsOf(pandas)
  for (const field of schema?.fields ?? []) {
    const categories = field.dictionary && categoriesOf(field.dictionary.ordered, categorical.get(field.name))
    facts.set(field.name, { ...arrayOf(field), ...(categories && { categories }) })
  }
  if (!schema) for (const [name, categories] of categorical) facts.set(name, { categories })
  return facts
}

/**
 * A dictionary's order means something where Arrow's type says so (ordered: polars' Enum, pandas' ordered categories) and in pandas' other categories, whose codes
 * are their places. Else it is an encoding, in the order of appearance: pyarrow's dictionary_encode, polars' Categorical.
 */
function categoriesOf(ordered: boolean, pandas: ColumnFacts['categories']): ColumnFacts['categories'] {
  return ordered || pandas ? { ordered: ordered || pandas!.ordered, count: pandas?.count } : undefined
}

const pandasColumns = z.object({
  columns: z.array(
    z.object({
      field_name: z.string().nullable().optional(),
      pandas_type: z.string(),
      metadata: z.unknown(),
    }),
  ),
})
const pandasCategories = z.object({ num_categories: z.int(), ordered: z.boolean().nullable().optional() })

/** Metadata that is not what it should be says nothing. */
function categoricalsOf(pandas: string | undefined): Map<string, NonNullable<ColumnFacts['categories']>> {
  const found = new Map<string, NonNullable<ColumnFacts['categories']>>()
  let value: unknown
  try {
    value = parseJson(pandas ?? 'null', 'pandas')
  } catch {
    return found
  }
  for (const column of pandasColumns.safeParse(value).data?.columns ?? []) {
    const own = pandasCategories.safeParse(column.metadata).data
    if (column.pandas_type === 'categorical' && typeof column.field_name === 'string' && own)
      found.set(column.field_name, { ordered: own.ordered === true, count: own.num_categories })
  }
  return found
}

/** Arrow's canonical extension of tensors (https://arrow.apache.org/docs/format/CanonicalExtensions.html#fixed-shape-tensor), and fixed-size lists in such. */
function arrayOf(field: ArrowField): Pick<ColumnFacts, 'array' | 'problem'> {
  const [lengths, { kind, ...rest }] = descend(field)
  if (lengths.length === 0 || !('size' in rest) || field.dictionary) return {}
  const number = { kind, size: rest.size } as Pick<ArrayType, 'kind' | 'size'>
  if (field.metadata.get('ARROW:extension:name') !== 'arrow.fixed_shape_tensor')
    return lengths.length > 1 ? { array: { ...number, shape: lengths } } : {}
  const tensor = tensorMetadata.safeParse(parsed(field.metadata.get('ARROW:extension:metadata'))).data
  if (!tensor || lengths.length > 1 || tensor.shape.reduce((a, b) => a * b, 1) !== lengths[0])
    return { problem: 'a tensor whose shape does not fit its numbers' }
  if (tensor.permutation?.some((axis, i) => axis !== i))
    return {
      problem: `tensors stored with their axes in another order (permutation ${tensor.permutation}): save numpy.ascontiguousarray(array)`,
    }
  return { array: { ...number, shape: tensor.shape } }
}

const tensorMetadata = z.object({
  shape: z.array(z.int().min(1)).min(1).max(32),
  permutation: z.array(z.int()).nullable().optional(),
})

function parsed(text: string | undefined): unknown {
  try {
    return parseJson(text ?? 'null', 'ARROW:extension:metadata')
  } catch {
    return undefined
  }
}

/** The lengths of fixed-size lists in each other, and what is in the innermost. */
function descend(field: ArrowField): [number[], ArrowType] {
  const lengths: number[] = []
  let own: ArrowField | undefined = field
  for (; own?.type.kind === 'fixed-size list'; own = own.children[0]) lengths.push(own.type.length)
  return [lengths, own?.type ?? { kind: 'other' }]
}

/** What the file says of an array, for those that are asked for. @throws FormatError */
export function arrayIn(facts: Map<string, ColumnFacts>, column: string, path: string): ArrayType | undefined {
  const { array, problem } = facts.get(column) ?? {}
  if (problem) throw new FormatError(`${path}: column '${column}': ${problem}`)
  return array
}
