import { describeColumn, targetColumns } from './columns.js'
import type { Manifest } from './manifest.js'

/**
 * README.md: the dataset card. Its front matter is Hugging Face's (https://huggingface.co/docs/hub/datasets-cards), so that the
 * folder, uploaded as it is, is a dataset that the hub shows and `load_dataset` reads. No times: equal exports have equal cards.
 */
export function formatCard(manifest: Manifest): string {
  const { classes, rows, teacher, source } = manifest
  const { target, raw } = describeTarget(manifest)
  const skipped = source.skipped.length
    ? ` ${source.skipped.length} rows of the source were skipped; manifest.json lists them.`
    : ''
  return `---
${frontMatter(manifest)}
---

# Soft targets: ${rows} rows, ${classes} classes

Raw logits (temperature 1) of a teacher, kept by [decant](https://www.npmjs.com/package/decant) for knowledge distillation: run the
teacher once, train any number of students at any temperature. Soft targets at temperature T are softmax(logits / T).

| | |
|---|---|
| teacher | ${cell(teacher.file)}, SHA-256 \`${teacher.sha256}\` |
| source | ${cell(source.uri)}, fingerprint \`${source.fingerprint}\` |
| rows | ${rows} |
| classes | ${classes} |

${skipped ? `${skipped.trim()}\n\n` : ''}## Columns of data/*.arrow

- \`id\` string: the row's stable id in the source
- \`label\` int32, null where there is none
${ownColumns(manifest)}- ${target}
${storedInput(manifest)}
The files are Arrow IPC files; manifest.json says how they came to be and holds the SHA-256 of each.

## Reading

TypeScript:

\`\`\`ts
import { openTargets } from 'decant'

const targets = await openTargets('.')
for await (const chunk of targets.chunks({ verify: true })) console.log(chunk.idAt(0), chunk.labels[0], chunk.logits)
\`\`\`

Python:

\`\`\`python
from datasets import load_dataset

rows = load_dataset("arrow", data_files="data/*.arrow", split="train").with_format("numpy")
logits = ${raw}
\`\`\`

or \`pyarrow.ipc.open_file("data/00000.arrow").read_all()\`.
`
}

/** The columns that say which view of its sample a row is. */
function ownColumns({ views }: Manifest): string {
  if (views === 1) return ''
  const { count, parameters } = views
  const params = `- \`view_params\` int32[${parameters.length}]: what made it: ${cell(parameters.join(', '))}\n`
  return `- \`view\` int32: 0 to ${count - 1}, which augmented view of its sample the row is\n${parameters.length > 0 ? params : ''}`
}

const storedInput = ({ inputs }: Manifest): string =>
  inputs
    ? `- \`input\`: what the teacher was given, ${inputs.kind} ${inputs.shape.join(' × ')}, before normalisation\n`
    : ''

/** The targets in words, and how Python has the raw logits from the columns (or, of a codec that takes more than a line, the columns). */
function describeTarget(manifest: Manifest): { target: string; raw: string } {
  const { classes, codec } = manifest
  switch (codec) {
    case 'f32':
      return { target: `\`logits\` float32[${classes}]: the teacher's raw logits`, raw: 'rows[:32]["logits"]' }
    case 'f16':
      return {
        target: `\`logits\` float16[${classes}] and \`shift\` float32: raw logits = logits + shift (shift is the row's top logit)`,
        raw: 'rows[:32]["logits"].astype("float32") + rows[:32]["shift"][:, None]',
      }
    default: {
      const columns = targetColumns(manifest).map((column) => `\`${describeColumn(column).replace(': ', '` ')}`)
      const below = 'rows[:32]["logits"].astype("float32") + rows[:32]["shift"][:, None]'
      const raw =
        codec === 'q8'
          ? 'rows[:32]["shift"][:, None] - rows[:32]["scale"][:, None] * (rows[:32]["q"] / 255) ** 2'
          : codec.startsWith('hybrid')
            ? '...  # from rows[:32]["codes"], two classes a byte, and "head"'
            : `${below}  # of classes rows[:32]["index"]`
      return { target: `${columns.join(', ')}: codec ${codec}, which src/cache/FORMAT.md of decant specifies`, raw }
    }
  }
}

function frontMatter({ license, rows, source }: Manifest): string {
  const lines = [
    ...(license === null ? [] : [`license: ${JSON.stringify(license)}`]), // a JSON string is a YAML string
    ...(IMAGES.includes(source.kind) ? ['task_categories:', '- image-classification'] : []),
    'tags:',
    '- knowledge-distillation',
    '- soft-targets',
    '- decant',
    'size_categories:',
    `- ${sizeCategory(rows)}`,
    'configs:',
    '- config_name: default',
    '  data_files:',
    '  - split: train',
    '    path: data/*.arrow',
  ]
  return lines.join('\n')
}

const IMAGES = ['idx', 'images']

/** The hub's own names of sizes. */
function sizeCategory(rows: number): string {
  const names = ['1K', '10K', '100K', '1M', '10M', '100M', '1B', '10B', '100B', '1T']
  const above = names.findIndex((_, i) => rows < 10 ** (i + 3))
  if (above === 0) return 'n<1K'
  return above < 0 ? 'n>1T' : `${names[above - 1]}<n<${names[above]}`
}

/** A value in a table's cell: no pipes, line breaks or markup of its own. */
const cell = (text: string) => `\`${text.replace(/[`|\r\n]/g, ' ')}\``
