import { Command } from 'commander'
import { CODECS, type CodecName } from '../../cache/codecs/codec.js'
import type { Licences } from '../../cache/index.js'
import { DecantError } from '../../errors.js'
import { augmentations, MAX_VIEWS } from '../../source/views/index.js'
import type { Accuracy } from '../../teacher/accuracy.js'
import { type ExportEvent, type LogitsAre, logitsAre, type PlannedExport } from '../../teacher/options.js'
import { providers } from '../../teacher/provider.js'
import { askLicences } from '../ask-licences.js'
import { bytes, count, duration, howFound, percent } from '../format.js'
import { interruptible } from '../interrupt.js'
import { codec, collect, integer, list, number, oneOf, range, suggesting, suggestionsOf } from '../parse.js'
import { readNames } from '../read-names.js'
import { openTerminal, type Terminal } from '../terminal.js'

interface Flags {
  teacher: string
  out?: string
  preprocess?: string
  labels?: string
  input?: string[]
  label?: string
  id?: string
  attentionMask?: string
  classes?: string
  output?: string
  logitsAre?: LogitsAre
  codec: CodecName | 'auto'
  maxKl?: number
  provider: PlannedExport['provider'] & string
  device?: number[]
  batch: number | 'auto'
  shardMb: number
  rows?: { from: number; to: number }
  onError: 'fail' | 'skip'
  license?: string
  teacherLicense?: string
  views?: number
  augment?: string
  viewSeed?: number
  storeInputs?: boolean
  dryRun?: boolean
  json?: boolean
}

const examples = `
Examples:
  $ decant export data/train-images-idx3-ubyte.gz --teacher data/teacher.onnx --preprocess data/preprocess.json --out targets
  $ decant export photos/ --teacher resnet.onnx --preprocess imagenet.json --out targets --provider cuda --device 0,1
  $ decant export photos/ --teacher resnet.onnx --preprocess imagenet.json --views 10 --augment rrc:0.2,flip --out targets
  $ decant export photos/ --teacher resnet.onnx --preprocess imagenet.json --dry-run
  $ decant export photos/ --teacher resnet.onnx --preprocess imagenet.json --codec auto --max-kl 1e-3 --out targets
  $ decant export data/*.parquet --input image --label label --teacher resnet.onnx --preprocess imagenet.json --out targets

Augmentations, applied in order after the preprocessing's resize and crop, drawn anew for each view, and replayed bit for bit when a
student is trained:
${augmentations}
(docs/views.md says what each does).

Stopped or killed, the same command goes on where it was. The preprocessing file declares what the teacher expects:
  { "version": 1, "resize": { "shorter": 256 }, "crop": { "width": 224, "height": 224 }, "color": "rgb",
    "scale": 0.00392156862745098, "mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225], "layout": "NCHW" }
or for text: { "version": 1, "text": { "tokenizer": "tokenizer.json", "length": 128 } }`

export function exportCommand(): Command {
  return new Command('export')
    .description('stage 1: run the teacher once over a dataset and save its raw logits')
    .argument(
      '<source...>',
      'a folder of images (a class a directory, or flat), an IDX image file, or files of rows: Parquet, Arrow, CSV, JSON Lines, NPY, NPZ, WebDataset tar',
    )
    .requiredOption('--teacher <file>', 'the teacher, an ONNX classifier')
    .option('--out <dir>', 'folder of the soft-target dataset')
    .option('--preprocess <file>', "JSON: how an image becomes the teacher's input (default: bytes / 255)")
    .option(
      '--input <column>',
      'column of the inputs; given more than once, columns of numbers to join; of WebDataset extensions, as jpg,png',
      collect,
    )
    .option('--label <column>', 'column of the labels: class numbers, or names')
    .option('--id <column>', 'column of the ids (default: file and row)')
    .option(
      '--attention-mask <column>',
      'column of the mask of token ids that come ready (default: attention_mask beside input_ids)',
    )
    .option('--labels <file>', 'label file of an IDX file (default: by its name) or of an NPY file')
    .option(
      '--classes <file>',
      'what stands in the labels, or as directories, for each class: names, one a line in the order of the logits',
    )
    .option('--output <name>', 'the logits output, where the model has several candidates')
    .option(
      '--logits-are <what>',
      `what that output's values are, where they leave it open: ${logitsAre.join(', ')}`,
      oneOf(logitsAre),
    )
    .option(
      '--codec <codec>',
      `${CODECS}, or auto: the smallest that --max-kl allows (f16 is exact to 1e-6 in KL)`,
      suggesting(['auto', ...suggestionsOf(codec)!], (text: string) => (text === 'auto' ? text : codec(text))),
      'f16' as const,
    )
    .option(
      '--max-kl <nats>',
      'codec auto: KL of the worst sampled row over all classes, T = 1 to 8 (default: 1e-3)',
      number(0),
    )
    .option(
      '--provider <name>',
      `auto, ${providers.join(', ')}`,
      oneOf(['auto', ...providers] as const),
      'auto' as const,
    )
    .option('--device <n...>', 'device numbers, one worker each', list(integer(0, 63)))
    .option(
      '--batch <rows>',
      'rows a call, or auto: measured',
      suggesting(['auto'], (text: string) => (text === 'auto' ? text : integer(1, 2 ** 20)(text))),
      'auto',
    )
    .option('--shard-mb <n>', 'size of a shard in MiB, about', number(0.01, 1900), 128)
    .option('--rows <from:to>', 'rows of the source, counted from 0: a part, for decant merge (default: all)', range)
    .option(
      '--on-error <what>',
      'an unreadable sample: fail, or skip and list it in the manifest',
      oneOf(['fail', 'skip'] as const),
      'fail' as const,
    )
    .option('--views <n>', 'augmented views of each sample, a row each', integer(1, MAX_VIEWS))
    .option('--augment <list>', 'what makes the views, as crop:4,flip')
    .option('--view-seed <n>', 'seed of the views (default: 0)', integer(0))
    .option('--store-inputs', "keep the students' inputs beside the targets: training needs no source then")
    .option('--license <id>', 'licence of the data (SPDX), for the card; asked for on a terminal')
    .option('--teacher-license <id>', 'licence of the teacher')
    .option('--dry-run', 'print rows, bytes and time from a few batches; write nothing')
    .option('--json', 'events as JSON lines on stdout')
    .addHelpText('after', examples)
    .action(run)
}

async function run(uris: string[], flags: Flags): Promise<void> {
  const { openSource, readPreprocess, withViews } = await import('../../source/index.js')
  const { exportTargets, readTeacherClasses } = await import('../../teacher/index.js')
  const terminal = openTerminal({ json: flags.json === true })
  const { out } = flags
  if (!out && !flags.dryRun) throw new DecantError('--out is missing: the folder that the dataset goes to')
  if (flags.maxKl !== undefined && flags.codec !== 'auto') throw new DecantError('--max-kl goes with --codec auto')
  const views = viewsOf(flags)
  const preprocess = flags.preprocess === undefined ? undefined : await readPreprocess(flags.preprocess)
  const names = flags.classes === undefined ? undefined : await readNames(flags.classes)
  // the teacher's own, where it names its classes
  const own = await readTeacherClasses(flags.teacher, flags.output === undefined ? {} : { output: flags.output })
  const source = await openSource(uris, {
    onError: flags.onError,
    ...(preprocess && { preprocess }),
    ...(flags.input && { input: flags.input }),
    ...(flags.label !== undefined && { label: flags.label }),
    ...(flags.id !== undefined && { id: flags.id }),
    ...(flags.attentionMask !== undefined && { attentionMask: flags.attentionMask }),
    ...(flags.labels !== undefined && { labels: flags.labels }),
    classes: { ...own, ...(names && { names }) },
  })
  const options: PlannedExport = {
    source,
    teacher: flags.teacher,
    codec: flags.codec,
    ...(flags.maxKl !== undefined && { maxKl: flags.maxKl }),
    provider: flags.provider,
    shardMb: flags.shardMb,
    onError: flags.onError,
    storeInputs: flags.storeInputs === true,
    ...(flags.output !== undefined && { output: flags.output }),
    ...(flags.logitsAre && { logitsAre: flags.logitsAre }),
    ...(flags.device && { devices: flags.device }),
    ...(flags.batch !== 'auto' && { batch: flags.batch }),
    ...(flags.rows && { range: flags.rows }),
    ...(flags.dryRun ? {} : await licencesFor(flags, terminal)),
    onEvent: (event) => show(event, terminal),
  }
  try {
    if (views) options.source = withViews(source, views)
    if (flags.dryRun || !out) return await dryRun({ ...options, ...(out && { out }) }, terminal)
    await interruptible(
      (signal) => exportTargets({ ...options, out, signal }),
      () => terminal.note('stopping after what is in hand; once more stops at once and loses the shard'),
    )
    terminal.print(`wrote ${flags.out}; look at it with: decant inspect ${flags.out}`)
  } finally {
    terminal.settle()
    await source.close()
  }
}

/** As given; else asked for where somebody is there to answer, and else left open, as `push` will say. */
async function licencesFor(flags: Flags, terminal: Terminal): Promise<Licences> {
  const { readPlan } = await import('../../cache/index.js')
  const given = {
    ...(flags.license && { license: flags.license }),
    ...(flags.teacherLicense && { teacherLicense: flags.teacherLicense }),
  }
  const before = flags.out ? await readPlan(flags.out) : undefined
  const asked = before || flags.json ? {} : await askLicences(given)
  const licences = { ...given, ...asked }
  const open = [
    ...((licences.license ?? before?.license) ? [] : ['of the data (--license)']),
    ...((licences.teacherLicense ?? before?.teacherLicense) ? [] : ['of the teacher (--teacher-license)']),
  ]
  if (open.length > 0)
    terminal.note(`licence ${open.join(' and ')} not stated: decant push will refuse; decant license states it later`)
  return licences
}

/** The views asked for: how many and what makes them go together. */
function viewsOf({ views: count, augment, viewSeed: seed }: Flags) {
  if (count !== undefined && augment !== undefined) return { count, augment, ...(seed !== undefined && { seed }) }
  if (count !== undefined)
    throw new DecantError('--views needs --augment: without it all views of a sample are the same')
  if (augment !== undefined || seed !== undefined)
    throw new DecantError(
      `${augment === undefined ? '--view-seed' : '--augment'} needs --views: how many of each sample`,
    )
  return undefined
}

async function dryRun(options: PlannedExport, terminal: Terminal): Promise<void> {
  const { estimateExport } = await import('../../teacher/index.js')
  const estimate = await estimateExport(options)
  terminal.event({ type: 'estimate', ...estimate } as { type: string })
  terminal.print(
    [
      `rows     ${count(estimate.rows)} of ${estimate.classes} classes`,
      `bytes    ${bytes(estimate.bytes)} (${estimate.bytesPerRow} a row) in ${shards(estimate.shards)}`,
      `speed    ${count(estimate.rowsPerSecond)} rows/s on ${estimate.provider}, ${estimate.batch} rows a call`,
      `time     ${duration(estimate.seconds)}, and what the disk takes to write ${bytes(estimate.bytes)}`,
      ...(estimate.accuracy ? [describeAccuracy(estimate.accuracy, ' that were run')] : []),
    ].join('\n'),
  )
}

function show(event: ExportEvent, terminal: Terminal): void {
  terminal.event(event)
  if (event.type === 'progress') {
    const { rows, total, rowsPerSecond, accuracy } = event
    const more = accuracy === undefined ? {} : { more: `accuracy ${percent(accuracy)}` }
    terminal.progress('export', rows, total, { unit: 'rows', perSecond: rowsPerSecond, ...more })
  }
  const remark = describe(event)
  if (remark !== undefined) terminal.note(remark)
}

/** One line for people; nothing for the events that the progress line shows. */
function describe(event: ExportEvent): string | undefined {
  switch (event.type) {
    case 'provider':
      return `provider ${event.provider} (${event.why})`
    case 'teacher': {
      const by = event.positions ? ` at each of ${event.positions} positions` : ''
      return `teacher ${event.file}: '${event.output}', ${event.classes} classes${by} (${howFound(event)})`
    }
    case 'attention-mask':
      return `padding of the source is where column '${event.column}' is 0`
    case 'padding':
      return `padding of the teacher is id ${event.id} on the ${event.side} (${event.why})`
    case 'label-output': {
      const { output, of, rows, agreement, swapped } = event
      const share = `${percent(agreement)} of ${count(rows)} sampled rows`
      return swapped
        ? `the two columns of '${of}' stand the other way round, as the label output '${output}' says in ${share}: they are swapped`
        : undefined
    }
    case 'codec':
      return [
        `codec ${event.codec}`,
        ...event.trials.map((t) => `${t.codec} ${t.bytesPerRow} bytes, KL ${t.kl.toPrecision(2)}`),
      ].join('; ')
    case 'calls': {
      const how = event.alone ? 'each row is run alone' : `rows are run ${event.fixedBatch} a call`
      const filled = (event.fixedBatch ?? 1) > 1 ? ', filled up with copies' : ''
      return `${how}${filled}, about ${count(event.rowsPerSecond)} rows/s: ${event.why}`
    }
    case 'batch':
      return `batch ${event.batch} (${event.why})`
    case 'resume':
      return `going on after ${event.shards} finished shards, ${count(event.rows)} rows`
    case 'skipped':
      return `left out ${event.id}: ${event.reason}`
    case 'out-of-memory':
      return `device ${event.device} ran out of memory: at most ${event.batch} rows a call from now on`
    case 'accuracy':
      return describeAccuracy(event, event.resumed ? ' of this run' : '')
    case 'complete': {
      const what = `${count(event.rows)} rows, ${bytes(event.bytes)} in ${shards(event.shards)}`
      return event.already ? `already complete: ${what}` : `${what}, ${duration(event.seconds)}`
    }
  }
  return undefined
}

function describeAccuracy({ accuracy, labelled, chance, atChance }: Accuracy, which: string): string {
  const line = `teacher's accuracy ${percent(accuracy)} on ${count(labelled)} labelled rows${which}`
  return atChance
    ? `${line}\nwarning: chance alone gives ${percent(chance)}: the preprocessing, the order of the classes or the labels are not the teacher's`
    : line
}

const shards = (n: number) => `${n} shard${n === 1 ? '' : 's'}`
