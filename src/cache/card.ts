import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { describeColumn, targetColumns } from './columns.js'
import { folderFiles } from './dataset-files.js'
import { type Figures, measureFigures, TEMPERATURES } from './figures.js'
import { type OpenFile, replaceFile } from './files.js'
import { CARD, PLOT } from './folder.js'
import { hubLicence } from './licences.js'
import type { Manifest } from './manifest.js'
import { describePlot, drawPlot, percent } from './plot.js'
import { openTargets } from './reader.js'

/**
 * Writes README.md and plot.svg beside the shards; what they say of the targets is read from these.
 * @param text of the manifest, which need not be written yet
 * @param options.verify false: who calls has the shards' hashes already
 */
export async function writeCard(
  dir: string,
  text: string,
  { open, verify }: { open?: OpenFile; verify?: boolean } = {},
): Promise<void> {
  const targets = await openTargets({ ...folderFiles(dir), manifest: async () => Buffer.from(text) }, { verify })
  const { manifest } = targets
  try {
    const figures = await measureFigures(targets)
    if (figures) await replaceFile(join(dir, PLOT), drawPlot(figures, manifest.classes), open)
    else await rm(join(dir, PLOT), { force: true })
    await replaceFile(join(dir, CARD), formatCard(manifest, figures), open)
  } finally {
    await targets.close()
  }
}

/**
 * README.md: the dataset card. Its front matter is Hugging Face's (https://huggingface.co/docs/hub/datasets-cards), so that the
 * folder, uploaded as it is, is a dataset that the hub shows and `load_dataset` reads. No times: equal exports have equal cards.
 */
export function formatCard(manifest: Manifest, figures?: Figures): string {
  const { classes, rows, teacher, source } = manifest
  const { target, raw } = describeTarget(manifest)
  const skipped = source.skipped.length
    ? `${source.skipped.length} rows of the source were skipped; manifest.json lists them.`
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
| licence of the data | ${stated(manifest.license)} |
| licence of the teacher | ${stated(manifest.teacherLicense)} |

${skipped ? `${skipped}\n\n` : ''}${figures ? describeFigures(manifest, figures) : ''}## Columns of data/*.arrow

- \`id\` string: the row's stable id in the source
- \`label\` int32, null where there is none
${ownColumns(manifest)}- ${target}
${storedInput(manifest)}
The files are Arrow IPC files; manifest.json says how they came to be and holds the SHA-256 of each.

## Reading

From the hub, another store or a folder: \`decant pull <uri> targets\` checks the SHA-256 of every shard, \`decant train <uri>\` reads it where it is.

TypeScript:

\`\`\`ts
import { openTargets } from 'decant'

const targets = await openTargets('.') // the folder of this card
for await (const chunk of targets.chunks({ verify: true })) console.log(chunk.idAt(0), chunk.labels[0], chunk.logits)
\`\`\`

Python:

\`\`\`python
from datasets import load_dataset

rows = load_dataset(".", split="train").with_format("numpy")  # the folder of this card, or "org/name" on the hub
logits = ${raw}
\`\`\`

or \`pyarrow.ipc.open_file("data/00000.arrow").read_all()\`.
`
}

/** The columns that say how long a sequence is, and which view of its sample a row is. */
function ownColumns({ views, positions }: Manifest): string {
  const length = positions === undefined ? '' : `- \`length\` int32: how many of the ${positions} positions are valid\n`
  if (views === 1) return length
  const { count, parameters } = views
  const params = `- \`view_params\` int32[${parameters.length}]: what made it: ${cell(parameters.join(', '))}\n`
  return `${length}- \`view\` int32: 0 to ${count - 1}, which augmented view of its sample the row is\n${parameters.length > 0 ? params : ''}`
}

const storedInput = ({ inputs }: Manifest): string =>
  inputs
    ? `- \`input\`: what the teacher was given, ${inputs.kind} ${inputs.shape.join(' × ')}, before normalisation\n`
    : ''

/** The targets in words, and how Python has the raw logits from the columns (or, of a codec that takes more than a line, the columns). */
function describeTarget(manifest: Manifest): { target: string; raw: string } {
  const { codec, positions } = manifest
  const columns = targetColumns(manifest)
  // of sequences a row holds its positions one after another
  const read = (name: string) => {
    const { width } = columns.find((column) => column.name === name)!
    return `rows[:32]["${name}"]${positions === undefined ? '' : `.reshape(-1, ${positions}, ${width / positions})`}`
  }
  const one = (name: string) => (positions === undefined ? `rows[:32]["${name}"][:, None]` : read(name)) // a number a target
  const below = () => `${read('logits')}.astype("float32") + ${one('shift')}`
  const of = positions === undefined ? '' : `, ${positions} positions one after another`
  switch (codec) {
    case 'f32':
      return { target: `\`logits\` float32[${columns[0]!.width}]: the teacher's raw logits${of}`, raw: read('logits') }
    case 'f16':
      return {
        target: `\`logits\` float16[${columns[0]!.width}] and \`shift\` ${positions === undefined ? 'float32' : `float32[${positions}]`}: raw logits = logits + shift (shift is the ${positions === undefined ? "row's" : "position's"} top logit)${of}`,
        raw: below(),
      }
    default: {
      const described = columns.map((column) => `\`${describeColumn(column).replace(': ', '` ')}`)
      const raw =
        codec === 'q8'
          ? `${one('shift')} - ${one('scale')} * (${read('q')} / 255) ** 2`
          : codec.startsWith('hybrid')
            ? '...  # from rows[:32]["bits"] and "edges"'
            : `${below()}  # of classes ${read('index')}`
      return {
        target: `${described.join(', ')}: codec ${codec}, which src/cache/FORMAT.md of decant specifies${of}`,
        raw,
      }
    }
  }
}

/** Rows, codec and what was measured, and the plot. */
function describeFigures(manifest: Manifest, figures: Figures): string {
  const { codec, fidelity, rows } = manifest
  const { teacher, entropy, targets } = figures
  const bytes = manifest.shards.reduce((sum, shard) => sum + shard.bytes, 0)
  const sample = figures.rows < rows ? `, on ${figures.rows} rows evenly spread` : ''
  const at = (T: number) => entropy[TEMPERATURES.indexOf(T)]!.toFixed(3)
  const lines = [
    `| codec | ${codec}, ${(bytes / rows).toFixed(0)} bytes a row, ${bytes} in ${manifest.shards.length} ${manifest.shards.length === 1 ? 'file' : 'files'} |`,
    teacher
      ? `| teacher's accuracy | ${percent(teacher.accuracy)} of ${teacher.labelled} labels${sample} |`
      : "| teacher's accuracy | unknown: no labels |",
    `| mean entropy, nats | ${at(1)} at T = 1, ${at(4)} at T = 4, ${at(16)} at T = 16${targets === figures.rows ? '' : `, of ${targets} positions`}${sample} |`,
    ...(fidelity?.temperatures ?? [])
      .filter(({ temperature }) => temperature === 1 || temperature === 4)
      .map(
        ({ temperature, klBuckets: { mean, worst } }) =>
          `| KL of the codec at T = ${temperature}, nats | mean ${mean.toExponential(1)}, worst ${worst.toExponential(1)} of ${fidelity!.rows} targets, over what is kept |`,
      ),
  ]
  return `## Figures

| | |
|---|---|
${lines.join('\n')}

![${describePlot(figures)}](${PLOT})

`
}

const stated = (licence: string | null | undefined) => (licence ? cell(licence) : 'not stated')

function frontMatter(manifest: Manifest): string {
  const task = taskOf(manifest)
  const lines = [
    ...licenceLines(manifest.license),
    `pretty_name: ${yaml(`Soft targets of ${baseName(manifest.teacher.file)}`)}`,
    ...(task ? ['task_categories:', `- ${task}`] : []),
    'annotations_creators:',
    '- machine-generated',
    'tags:',
    '- knowledge-distillation',
    '- soft-targets',
    '- logits',
    '- decant',
    'size_categories:',
    `- ${sizeCategory(manifest.rows)}`,
    'configs:',
    '- config_name: default',
    '  data_files:',
    '  - split: train',
    '    path: data/*.arrow',
  ]
  return lines.join('\n')
}

/** A JSON string is a YAML string. */
const yaml = (text: string) => JSON.stringify(text)

function licenceLines(license: string | null): string[] {
  if (license === null) return []
  const id = hubLicence(license)
  return id ? [`license: ${id}`] : ['license: other', `license_name: ${yaml(license)}`]
}

/** Of a path, on whatever system the export was. */
const baseName = (path: string) => path.split(/[/\\]/).at(-1)!

const IMAGES = ['idx', 'images', 'webdataset']

/** What the students do, in the hub's words, as far as the manifest shows it. */
function taskOf({ source, inputs, positions, preprocess }: Manifest): string | undefined {
  if (inputs?.kind === 'tokens' || (preprocess && 'text' in preprocess))
    return positions === undefined ? 'text-classification' : 'text-generation'
  if (inputs?.kind === 'image' || IMAGES.includes(source.kind)) return 'image-classification'
  return inputs?.kind === 'features' || source.kind === 'csv' ? 'tabular-classification' : undefined
}

/** The hub's own names of sizes. */
function sizeCategory(rows: number): string {
  const names = ['1K', '10K', '100K', '1M', '10M', '100M', '1B', '10B', '100B', '1T']
  const above = names.findIndex((_, i) => rows < 10 ** (i + 3))
  if (above === 0) return 'n<1K'
  return above < 0 ? 'n>1T' : `${names[above - 1]}<n<${names[above]}`
}

/** A value in a table's cell: no pipes, line breaks or markup of its own. */
const cell = (text: string) => `\`${text.replace(/[`|\r\n]/g, ' ')}\``
