import { Command } from 'commander'
import type { Manifest, Targets } from '../../cache/index.js'
import type { TargetsDescription } from '../../report/describe-targets.js'
import type { Tally } from '../../student/index.js'
import { bytes, count, howFound, percent } from '../format.js'
import { interruptible } from '../interrupt.js'
import { openTerminal } from '../terminal.js'

export function inspectCommand(): Command {
  return new Command('inspect')
    .description('show what a soft-target dataset is and what its teacher knows')
    .argument('<dir>', 'folder or URI of a soft-target dataset')
    .option('--json', 'one JSON object')
    .addHelpText(
      'after',
      '\nExamples:\n  $ decant inspect targets\n  $ decant inspect targets --json | jq .description.accuracy',
    )
    .action(async (dir: string, options: { json?: boolean }) => {
      const terminal = openTerminal({ json: options.json === true })
      const { codecOf } = await import('../../cache/index.js')
      const { openDataset } = await import('../../share/open-dataset.js')
      const { describeTargets } = await import('../../report/describe-targets.js')
      const targets = await openDataset(dir)
      try {
        const { codec, positions } = targets.manifest
        // what a teacher knows is read from one row of all classes for each label
        const readable = codecOf(codec).kind === 'dense' && positions === undefined
        const description = await interruptible(
          async (signal) => (readable ? describeTargets(targets, signal) : undefined),
          () => {},
        )
        terminal.event({ type: 'targets', manifest: targets.manifest, description } as { type: string })
        terminal.print(render(targets, description))
      } finally {
        await targets.close()
      }
    })
}

function describeViews({ views }: Manifest): string[] {
  if (views === 1) return []
  const { list } = views.augment
  const made = typeof list === 'string' ? list : JSON.stringify(views.augment)
  return [`  views      ${count(views.count)} of each sample: ${made}, seed ${views.seed}`]
}

function describeFidelity({ fidelity }: Manifest): string[] {
  if (!fidelity) return []
  const values = fidelity.temperatures.map(
    ({ temperature, klBuckets, klClasses, tailError }) =>
      `    T=${String(temperature).padEnd(4)} KL ${exponent(klBuckets)} over what is kept, ${exponent(klClasses)} over all classes${tailError ? `, tail's mass off by ${exponent(tailError)}` : ''}`,
  )
  return [`  fidelity   on ${count(fidelity.rows)} targets, mean (worst):`, ...values]
}

const exponent = ({ mean, worst }: { mean: number; worst: number }) =>
  `${mean.toExponential(1)} (${worst.toExponential(1)})`

function render(targets: Targets, description: TargetsDescription | undefined): string[] {
  const { manifest } = targets
  const { teacher, source, runtime } = manifest
  const size = manifest.shards.reduce((sum, shard) => sum + shard.bytes, 0)
  const name = (index: number) => manifest.names?.[index] ?? `class ${index}`
  const lines = [
    `${targets.dir}: logits of ${count(manifest.rows)} rows, ${manifest.classes} classes${manifest.positions ? ` at each of ${manifest.positions} positions` : ''}, codec ${manifest.codec}`,
    `  teacher    ${teacher.file}, '${teacher.output}' (${howFound(teacher)}), sha256 ${teacher.sha256.slice(0, 12)}`,
    `  source     ${source.uri} (${source.kind}), ${count(source.rows)} rows${source.skipped.length > 0 ? `, ${source.skipped.length} left out` : ''}`,
    ...describeViews(manifest),
    ...(manifest.inputs ? [`  inputs     stored, ${manifest.inputs.kind} ${manifest.inputs.shape.join('×')}`] : []),
    `  runtime    ONNX Runtime ${runtime.onnxruntime} on ${runtime.provider}, ${runtime.precision}`,
    `  size       ${bytes(size)} in ${manifest.shards.length} shard${manifest.shards.length === 1 ? '' : 's'}`,
    ...describeFidelity(manifest),
    `  licence    ${manifest.license ?? 'not stated'}; of the teacher ${manifest.teacherLicense ?? 'not stated'}`,
  ]
  if (!description) return lines
  lines.push(
    '',
    ...renderTally(description, name),
    '',
    `Soft targets by temperature (entropy at most log ${manifest.classes} = ${Math.log(manifest.classes).toFixed(2)} nats):`,
    ...description.softness.map(
      ({ temperature, entropy, top }) =>
        `  T=${String(temperature).padEnd(3)} entropy ${entropy.toFixed(3)}   largest ${top.toFixed(3)}`,
    ),
  )
  if (description.confused.length > 0) {
    lines.push('', 'Classes that the teacher finds most alike (soft target that one gives to the other, mean at T=1):')
    for (const { classes, mass } of description.confused) {
      lines.push(`  ${mass.toFixed(4)}  ${name(classes[0])} / ${name(classes[1])}`)
    }
  }
  return lines
}

function renderTally(
  { labelled, accuracy, top5, nll, ece, brier, aurc, perClass }: Tally,
  name: (index: number) => string,
): string[] {
  if (accuracy === null) return ["No labels: the teacher's accuracy is unknown."]
  const five = top5 === null ? '' : `, top-5 ${percent(top5)}`
  const worst = perClass!.accuracy
    .flatMap((share, index) => (share === null ? [] : [{ share, index }]))
    .sort((a, b) => a.share - b.share)
    .slice(0, 3)
  return [
    `Teacher on ${count(labelled)} labels: accuracy ${percent(accuracy)}${five}, NLL ${nll!.toFixed(4)}, ECE ${percent(ece!)}, Brier ${brier!.toFixed(4)}, AURC ${(aurc! * 1000).toFixed(2)} (×1000)`,
    `  least accurate on ${worst.map(({ share, index }) => `${name(index)} ${percent(share)}`).join(', ')}`,
  ]
}
