import { z } from 'zod'
import { type Tally, tallySchema } from './tally.js'

// What sweep.json says beside its students. Apart from the code that finds it, which loads tfjs and ONNX Runtime: whoever only reads does not.

/** What the students of a sweep learned from, and what they were measured on. */
export interface SweepFacts {
  /** of the dataset that was learned from, held-out ones included */
  rows: number
  classes: number
  names: string[] | null
  measuredOn: 'evaluation' | 'held-out rows' | 'nothing'
  teacher: {
    file: string
    /** on the rows that the students were measured on; null where none were */
    metrics: Tally | null
  }
  similarity: Similarity | null
}

/** How the teacher finds classes alike. */
export interface Similarity {
  temperature: number
  /** samples that the means are over */
  rows: number
  /** the classes that are shown: all, or the most alike where they are many */
  classes: number[]
  /** [from][to]: the mean soft target that samples of class `from` (by label, else by the teacher's top class) give to class `to` */
  means: number[][]
}

/** More classes cannot be read in one picture. */
export const MAX_SHOWN = 30

export const sweepFactsSchema: z.ZodType<SweepFacts> = z.strictObject({
  rows: z.int().min(0),
  classes: z.int().min(1),
  names: z.array(z.string()).nullable(),
  measuredOn: z.enum(['evaluation', 'held-out rows', 'nothing']),
  teacher: z.strictObject({ file: z.string(), metrics: tallySchema.nullable() }),
  similarity: z
    .strictObject({
      temperature: z.number(),
      rows: z.int(),
      classes: z.array(z.int().min(0)).max(MAX_SHOWN),
      means: z.array(z.array(z.number().min(0).max(1)).max(MAX_SHOWN)).max(MAX_SHOWN),
    })
    .refine(
      ({ classes, means }) => [means, ...means].every(({ length }) => length === classes.length),
      'a row and a column for each class',
    )
    .nullable(),
})

/** What a model costs, from its file and from running it. */
export interface ModelCost {
  name: string
  /** Elements of its floating-point weights. */
  parameters: number
  /** Of convolutions and matrix products, for one row. */
  multiplyAdds: number
  /** Size on disk, external weights included. */
  bytes: number
  /** Median time of a call for each batch of the table; null where the model has a fixed batch of another size. */
  milliseconds: (number | null)[]
}

/** Models that were timed side by side, in turns: the same provider, threads and process. */
export interface CostTable {
  provider: 'cpu'
  threads: 1
  processor: string
  /** Rows a call. */
  batches: number[]
  models: ModelCost[]
}

export const costSchema: z.ZodType<CostTable> = z.strictObject({
  provider: z.literal('cpu'),
  threads: z.literal(1),
  processor: z.string(),
  batches: z.array(z.int().min(1)),
  models: z.array(
    z.strictObject({
      name: z.string(),
      parameters: z.int().min(0),
      multiplyAdds: z.number().min(0),
      bytes: z.int().min(0),
      milliseconds: z.array(z.number().min(0).nullable()),
    }),
  ),
})
