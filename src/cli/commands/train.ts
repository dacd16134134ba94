import { join } from 'node:path'
import { Command } from 'commander'
import { openEngine } from '../../engine/engine.js'
import type { TrainEvent, TrainedStudent } from '../../student/index.js'
import { count, duration } from '../format.js'
import { interruptible } from '../interrupt.js'
import { integer, list, number, settings, suggesting, temperature } from '../parse.js'
import { openTerminal, type Terminal } from '../terminal.js'
import {
  addStudentOptions,
  engineOf,
  methodName,
  methodNames,
  openStudentData,
  type StudentFlags,
  studentForms,
  trainingOf,
} from './student-options.js'

interface Flags extends StudentFlags {
  student: string
  temperature?: number
  alpha?: number
  method: string
  set?: Record<string, number>
  seed?: number[]
  out?: string
  printGraph?: boolean
}

const examples = `
Examples:
  $ decant train targets --student mlp:128 -T 4 --alpha 0.9 --eval test-targets --out student
  $ decant train targets --student cnn:32,64 --optimizer adamw --schedule cosine --epochs 30 --out student
  $ decant train targets --seed 1,2,3 --eval test-targets   (mean ± interval)
  $ decant train targets --alpha 0 --out control          (no teacher: the control)
  $ decant train targets --method dkd --set nckd=4 --out student
  $ decant train targets --student ./my-student.ts --out student

A student of your own is a module whose default export is a function of { input, inputShape, positions, classes, seed } that
gives a tf.LayersModel from [N, ...inputShape] to logits [N, classes], or [N, positions, classes] where the targets are by position.
input.kind is image (float32, normalised), features (float32, as they are) or tokens (int32: id + 1, 0 is padding; ids are below
input.vocabulary). Stopped, the same command goes on.`

export function trainCommand(): Command {
  const command = new Command('train')
    .description('stage 2: train a student on the soft targets of a dataset')
    .argument('<dir>', 'folder or URI of a soft-target dataset')
    .option(
      '--student <form>',
      'linear, mlp:<units>,…, cnn:<filters>,…, resnet:<depth>,<width>, mobilenet:<width>, of tokens bag:<dim>, transformer:<dim>,<layers>, or a module ./my-student.ts',
      suggesting(studentForms, (form: string) => form),
      'mlp:128',
    )
    .option('-T, --temperature <T>', "temperature of the soft targets (default: the method's; kd 4)", temperature)
    .option(
      '--alpha <share>',
      "the teacher's weight in the loss beside the cross-entropy on labels; 0 is the control (default: the method's; kd 0.9)",
      number(0),
    )
    .option('--method <name>', `${methodNames}, or a module ./my-method.ts`, methodName, 'kd')
    .option(
      '--set <name=value>',
      "a parameter of the method's own; give the flag again for more",
      settings(number(-Number.MAX_VALUE)),
    )
    .option(
      '--seed <n...>',
      'of weights and order (default 1); of several a student each, in <out>/seed-<n>, and their mean with its interval',
      list(integer(0)),
    )
    .option('--out <dir>', "the student's folder: tfjs model, student.onnx, metrics (default: nothing is written)")
  return addStudentOptions(command)
    .option('--print-graph', 'print the training step as engine onnx runs it, and stop')
    .addHelpText('after', examples)
    .action(run)
}

async function run(dir: string, flags: Flags): Promise<void> {
  const { completeConfig, inPlanned, loadDataset, printStep, trainOnDataset } = await import('../../student/index.js')
  const { renderMetrics } = await import('../../report/render-metrics.js')
  const terminal = openTerminal({ json: flags.json === true })
  const config = {
    ...trainingOf(flags),
    student: flags.student,
    method: flags.method,
    ...(flags.temperature !== undefined && { temperature: flags.temperature }),
    ...(flags.alpha !== undefined && { alpha: flags.alpha }),
    ...(flags.set && { parameters: flags.set }),
  }
  const { name, ...options } = engineOf(flags)
  const data = await openStudentData(dir, flags.source)
  const evaluation =
    flags.eval === undefined ? undefined : await openStudentData(flags.eval, flags.evalSource, '--eval-source')
  const engine = await openEngine(name, options)
  const [seed = 1, ...more] = flags.seed ?? []
  const nameOf = (seed: number) => `seed-${seed}`
  const outOf = (seed: number) => flags.out && (more.length > 0 ? join(flags.out, nameOf(seed)) : flags.out)
  try {
    if (flags.printGraph) {
      const { targets, source } = data
      terminal.print(await printStep({ targets, source, engine, config: { ...config, seed } }))
      return
    }
    const all: TrainedStudent[] = []
    const trainAll = () =>
      interruptible(
        async (signal) => {
          const evaluated = evaluation && (await loadDataset({ ...evaluation, signal }))
          const dataset = await loadDataset({ targets: data.targets, source: data.source, signal })
          for (const each of [seed, ...more]) {
            const out = outOf(each)
            const onEvent = (event: TrainEvent) => show(event, terminal)
            const options = { ...config, seed: each, dataset, evaluation: evaluated, engine, signal, onEvent }
            const trained = await trainOnDataset({ ...options, ...(out !== undefined && { out }) })
            trained.model.dispose()
            all.push(trained)
            const { metrics, measuredOn, parameters, seconds } = trained
            terminal.settle()
            const event = { type: 'trained', out, seed: each, parameters, seconds, measuredOn, metrics }
            terminal.event(event as { type: string })
          }
        },
        () => terminal.note('stopping: writing a checkpoint'),
      )
    if (flags.out !== undefined && more.length > 0) {
      const evaluated = evaluation !== undefined
      const planOf = async (seed: number) => ({
        name: nameOf(seed),
        config: await completeConfig({ ...config, seed }, { evaluated }),
      })
      await inPlanned(flags.out, await Promise.all([seed, ...more].map(planOf)), trainAll)
    } else await trainAll()
    const [{ parameters, measuredOn }] = all as [TrainedStudent]
    const seconds = all.reduce((sum, one) => sum + one.seconds, 0)
    const seeds = all.length > 1 ? `, ${all.length} seeds` : ''
    terminal.print(`${flags.student}, ${count(parameters)} parameters${seeds}, trained in ${duration(seconds)}`)
    const metrics = all.flatMap((one) => one.metrics ?? [])
    if (metrics[0]) {
      terminal.print(`${count(metrics[0].rows)} rows (${measuredOn}): ${renderMetrics(metrics)}`)
    }
    if (flags.out !== undefined) terminal.print(`wrote ${flags.out}`)
  } finally {
    terminal.settle()
    await engine.dispose()
    await evaluation?.close()
    await data.close()
  }
}

function show(event: TrainEvent, terminal: Terminal): void {
  terminal.event(event)
  switch (event.type) {
    case 'start': {
      const why = event.reason === undefined ? '' : ` (${event.reason})`
      terminal.note(
        `${count(event.parameters)} parameters, ${count(event.rows)} rows, ${event.held} held out, ${event.steps} steps on ${event.backend}${why}`,
      )
      break
    }
    case 'warning':
      terminal.note(`warning: ${event.message}`)
      break
    case 'resume':
      terminal.note(`going on after step ${event.step} of ${event.steps}`)
      break
    case 'step':
      terminal.progress('train', event.step, event.steps, { unit: 'steps' })
      break
    case 'stop':
      terminal.note(`stopped after epoch ${event.epoch}: nothing better since epoch ${event.best}`)
      break
    case 'finished':
      terminal.note(`${event.out} is this very student, already trained`)
      break
  }
}
