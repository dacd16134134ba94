import { access, constants, writeFile } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import { dirname } from 'node:path'
import { Command } from 'commander'
import { DecantError } from '../../errors.js'
import type { SweepEvent } from '../../student/index.js'
import { duration, percent } from '../format.js'
import { interruptible } from '../interrupt.js'
import { collect, integer, list, number, settings, suggesting, temperature } from '../parse.js'
import { openTerminal, type Terminal } from '../terminal.js'
import {
  addStudentOptions,
  engineOf,
  isLabelled,
  methodName,
  methodNames,
  openStudentData,
  type StudentFlags,
  studentForms,
  trainingOf,
} from './student-options.js'

interface Flags extends StudentFlags {
  student: string[]
  temperature?: number[]
  alpha?: number[]
  method?: string[]
  set?: Record<string, number[]>
  seed?: number[]
  jobs: number
  teacher?: string
  out?: string
  csv?: string
}

const examples = `
Examples:
  $ decant sweep targets -T 1,2,4,8 --alpha 0,0.9 --seed 1,2,3 --eval test-targets --out runs/sweep
  $ decant sweep targets --student mlp:64 --student mlp:256 -T 4 --alpha 0,0.5,0.9 --json

alpha 0 is the control, trained once a seed whatever the temperatures are. Commas belong to a student's form
(mlp:800,800), so students are given one a flag. Stopped, the same command with --out goes on.`

export function sweepCommand(): Command {
  const command = new Command('sweep')
    .description('train a grid of students from one dataset and compare them with the control')
    .argument('<dir>', 'folder or URI of a soft-target dataset')
    .option('--student <form>', 'a student; give the flag again for more', suggesting(studentForms, collect))
    .option('-T, --temperature <T...>', 'temperatures', list(temperature))
    .option(
      '--alpha <share...>',
      "the teacher's weights in the loss; 0 is the control (default: the control, where there are labels, and the method's)",
      list(number(0)),
    )
    .option('--method <name...>', `methods: ${methodNames}, or modules`, list(methodName))
    .option(
      '--set <name=values>',
      'values of a parameter of the methods, as nckd=1,4,8; give the flag again for more',
      settings(list(number(-Number.MAX_VALUE))),
    )
    .option('--seed <n...>', 'seeds (default: 1, 2, 3)', list(integer(0)))
    .option('--jobs <n>', 'students trained at once, a thread each', integer(1, 256), availableParallelism())
    .option(
      '--teacher <file>',
      "the teacher's ONNX file, to measure its size and speed beside the students' (with --out)",
    )
    .option('--out <dir>', 'a folder a student, report.html, sweep.json and sweep.csv (default: the table only)')
    .option('--csv <file>', 'also write the students as CSV')
  return addStudentOptions(command).addHelpText('after', examples).action(run)
}

async function run(dir: string, flags: Flags): Promise<void> {
  const { formatCsv, sweep } = await import('../../student/index.js')
  const { renderSweep } = await import('../../report/render-sweep.js')
  const { writeReport } = await import('../../report/write-report.js')
  const warned = new Set<string>()
  const terminal = openTerminal({ json: flags.json === true })
  if (flags.teacher !== undefined && flags.out === undefined) {
    throw new DecantError('--teacher goes with --out: the files of teacher and students are measured')
  }
  if (flags.csv !== undefined) await access(dirname(flags.csv), constants.W_OK) // told now, not after hours
  const data = await openStudentData(dir, flags.source)
  const evaluation =
    flags.eval === undefined ? undefined : await openStudentData(flags.eval, flags.evalSource, '--eval-source')
  try {
    const labelled = await isLabelled(data)
    const result = await interruptible(
      (signal) =>
        sweep({
          targets: data.targets,
          source: data.source,
          ...(evaluation && { evaluate: evaluation }),
          grid: {
            student: flags.student ?? ['mlp:128'],
            // The control learns from labels.
            method: withControl(flags, labelled),
            ...(flags.temperature && { temperature: flags.temperature }),
            ...(flags.alpha && { alpha: flags.alpha }),
            ...(flags.set && { parameters: flags.set }),
            seed: flags.seed ?? [1, 2, 3],
          },
          base: trainingOf(flags),
          engine: engineOf(flags),
          jobs: flags.jobs,
          ...(flags.out !== undefined && { out: flags.out }),
          ...(flags.teacher !== undefined && { teacher: flags.teacher }),
          signal,
          onEvent: (event) => show(event, terminal, warned),
        }),
      () => terminal.note('stopping: every student in hand writes a checkpoint'),
    )
    terminal.settle()
    terminal.event({ type: 'sweep', ...result } as { type: string })
    terminal.print(renderSweep(result.table))
    if (flags.csv !== undefined) await writeFile(flags.csv, formatCsv(result.students))
    for (const { failed, student, method, temperature, alpha, seed } of result.students) {
      if (failed === undefined) continue
      terminal.note(`failed: ${student} ${method} T=${temperature} alpha=${alpha} seed ${seed}: ${failed}`)
      process.exitCode = 1
    }
    if (flags.out !== undefined) terminal.print(`wrote ${flags.out}; open ${await writeReport(flags.out, result)}`)
  } finally {
    terminal.settle()
    await evaluation?.close()
    await data.close()
  }
}

/** The methods that are asked for; with the control, where no alpha says whether it is wanted. */
function withControl({ method = ['kd'], alpha }: Flags, labelled: boolean): string[] {
  return labelled && !alpha ? ['ce', ...method] : method
}

function show(event: SweepEvent, terminal: Terminal, warned: Set<string>): void {
  terminal.event(event)
  if (event.type === 'training' && event.event.type === 'warning') {
    const { message } = event.event
    if (!warned.has(message)) terminal.note(`warning: ${message}`)
    warned.add(message)
  }
  if (event.type === 'plan') {
    terminal.note(`${event.students.length} students, ${event.jobs} at once`)
    terminal.progress('sweep', 0, event.students.length, { unit: 'students' })
  } else if (event.type === 'student') {
    const { accuracy, agreement } = event.student.metrics ?? {}
    const how =
      accuracy != null
        ? `accuracy ${percent(accuracy)}`
        : agreement != null
          ? `agreement ${percent(agreement)}`
          : event.student.failed === undefined
            ? 'trained, no rows to measure it on'
            : 'failed'
    terminal.note(`${event.name}: ${how}, ${duration(event.student.seconds)}`)
    terminal.progress('sweep', event.done, event.of, { unit: 'students' })
  }
}
