import { z } from 'zod'
import { parseJson } from '../json.js'

/** Of Hugging Face's schema metadata (key `huggingface`), what says the names of labels. */
const schema = z.object({
  info: z.object({ features: z.record(z.string(), z.unknown()) }),
})
const classLabel = z.object({ _type: z.literal('ClassLabel'), names: z.array(z.string()).max(2 ** 20) })

/** Names by label, for each ClassLabel column. Metadata that is not what it should be says nothing. */
export function classNamesOf(text: string | undefined): Map<string, string[]> {
  const found = new Map<string, string[]>()
  let value: unknown
  try {
    value = parseJson(text ?? 'null', 'huggingface')
  } catch {
    return found
  }
  const parsed = schema.safeParse(value)
  if (!parsed.success) return found
  for (const [column, feature] of Object.entries(parsed.data.info.features)) {
    const label = classLabel.safeParse(feature)
    if (label.success) found.set(column, label.data.names)
  }
  return found
}
