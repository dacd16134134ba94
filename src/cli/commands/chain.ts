import { Command } from 'commander'
import type { ChainEvent, Link } from '../../chain/index.js'
import { openEngine } from '../../engine/engine.js'
import { DecantError } from '../../errors.js'
import { count, percent } from '../format.js'
import { interruptible } from '../interrupt.js'
import { collect, integer, number, settings, suggesting, temperature } from '../parse.js'
import { openTerminal, type Terminal } from '../terminal.js'
import {
  addStudentOptions,
  engineOf,
  methodName,
  methodNames,
  openData,
  openStudentData,
  type StudentFlags,
  studentForms,
  trainingOf,
} from './student-options.js'

interface Flags extends StudentFlags {
  student: string[]
  generations?: number
  first?: string
  temperature?: number
  alpha?: number
  method: string
  set?: Record<string, number>
  seed: number
  out: string
}

const examples = `
Examples:
  $ decant chain targets --student cnn:32,64 --student mlp:128 --out assisted        (teacher, assistant, student)
  $ decant chain targets --student resnet:8,16 --generations 3 --first ce --alpha 1 -T 1 --out born-again

Every link is an ordinary student (out/1/student) and, but for the last, an ordinary cache of what it says (out/1/targets).
Stopped, the same command goes on.`

export function chainCommand(): Command {
  const command = new Command('chain')
    .description('train students one after another, each from the targets of the one before')
    .argument('<dir>', 'folder or URI of a soft-target dataset, which the first student learns from')
    .requiredOption(
      '--student <form>',
      'a student, as of train; give the flag again for the next one',
      suggesting(studentForms, collect),
    )
    .option('--generations <n>', 'so many of the one student, each learning from the one before', integer(1, 100))
    .option('--method <name>', `of every student: ${methodNames}, or a module`, methodName, 'kd')
    .option(
      '--first <name>',
      'the method of the first student, where it is another: ce learns from labels alone',
      methodName,
    )
    .option('-T, --temperature <T>', "temperature of the soft targets (default: the method's)", temperature)
    .option(
      '--alpha <share>',
      "the teacher's weight beside the cross-entropy on labels (default: the method's)",
      number(0),
    )
    .option('--set <name=value>', "a parameter of the method's own", settings(number(-Number.MAX_VALUE)))
    .option('--seed <n>', 'of the first student; the next has the next', integer(0), 1)
    .requiredOption('--out <dir>', 'folder of the chain')
  return addStudentOptions(command).addHelpText('after', examples).action(run)
}

async function run(dir: string, flags: Flags): Promise<void> {
  const { trainChain } = await import('../../chain/index.js')
  const terminal = openTerminal({ json: flags.json === true })
  const links = linksOf(flags)
  const { name, ...options } = engineOf(flags)
  const data = await openData(dir, flags.source)
  const evaluation =
    flags.eval === undefined ? undefined : await openStudentData(flags.eval, flags.evalSource, '--eval-source')
  const engine = await openEngine(name, options)
  try {
    const students = await interruptible(
      (signal) =>
        trainChain({
          ...{ targets: data.targets, source: data.source, engine, out: flags.out, links, signal },
          ...(evaluation && { evaluate: evaluation }),
          onEvent: (event) => show(event, terminal),
        }),
      () => terminal.note('stopping: writing a checkpoint'),
    )
    terminal.settle()
    for (const link of students) print(link, terminal)
  } finally {
    terminal.settle()
    await engine.dispose()
    await evaluation?.close()
    await data.close()
  }
}

function linksOf(flags: Flags) {
  const { student, generations, first, method, temperature, alpha, set, seed } = flags
  if (generations !== undefined && student.length > 1)
    throw new DecantError(`--generations are of one student, found ${student.length}`)
  const students = generations === undefined ? student : Array.from({ length: generations }, () => student[0]!)
  const soft = {
    ...(temperature !== undefined && { temperature }),
    ...(alpha !== undefined && { alpha }),
    ...(set && { parameters: set }),
  }
  return students.map((student, i) => ({
    ...trainingOf(flags),
    student,
    ...(i === 0 && first !== undefined ? { method: first } : { method, ...soft }),
    seed: seed + i,
  }))
}

function print({ link, student, method, parameters, metrics, measuredOn, out }: Link, terminal: Terminal): void {
  terminal.event({ type: 'link', link, student, method, parameters, metrics, out } as { type: string })
  const measured = metrics
    ? `: ${metrics.accuracy === null ? '' : `accuracy ${percent(metrics.accuracy)}, NLL ${metrics.nll!.toFixed(4)}, `}agreement ${percent(metrics.agreement)} (${measuredOn})`
    : ''
  terminal.print(`${link}. ${student} by ${method}, ${count(parameters)} parameters${measured}; ${out}`)
}

function show(event: ChainEvent, terminal: Terminal): void {
  terminal.event(event as { type: string })
  if (event.type === 'warning') terminal.note(`student ${event.link}: warning: ${event.message}`)
  else if (event.type === 'step') terminal.progress(`student ${event.link}`, event.step, event.steps, { unit: 'steps' })
  else if (event.type === 'progress')
    terminal.progress(`targets of student ${event.link}`, event.rows, event.total, {
      unit: 'rows',
      perSecond: event.rowsPerSecond,
    })
}
