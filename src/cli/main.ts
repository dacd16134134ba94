#!/usr/bin/env node
import '../telemetry.js'
import { CommanderError } from 'commander'
import { DecantError } from '../errors.js'
import { isStopping } from './interrupt.js'
import { plain } from './plain.js'
import { buildProgram } from './program.js'

function fail(message: string, exitCode: number): void {
  tell(message, exitCode)
  // lines after the first are indented, so that no file can make one that seems to be decant's own
  process.stderr.write(`decant: ${plain(message).replace(/\n(?! {2})/g, '\n  ')}\n`)
}

function tell(message: string, exitCode: number): void {
  process.exitCode = exitCode
  if (exitCode === 0 || !process.argv.includes('--json')) return
  process.stdout.write(`${plain(JSON.stringify({ type: 'error', message, exitCode }))}\n`)
}

/** The system refused something that the user named: a place that is not there, or not permitted. */
const isSystemError = (error: unknown): error is Error =>
  error instanceof Error && 'syscall' in error && 'code' in error

/** The system's word may come from a file, from a thread that cannot start, or from a module that cannot be loaded. */
const advised = ({ message }: Error): string =>
  /\bEMFILE\b/.test(message)
    ? `${message}: raise the limit of open files (ulimit -n), then run the same command again`
    : message
const isOutOfFiles = (error: unknown): error is Error => error instanceof Error && advised(error) !== error.message

/** Who read has gone (`| head -1`), or the disk takes no more: stopped as by a signal, so that what is under way ends where it can go on. */
let heard = true
for (const stream of [process.stdout, process.stderr])
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (!heard) return
    heard = false
    if (error.code !== 'EPIPE') process.stderr.write(`decant: the output cannot be written: ${error.message}\n`)
    if (!isStopping()) process.kill(process.pid, 'SIGTERM') // of a terminal that was closed, SIGHUP has come before
  })

try {
  await buildProgram().parseAsync()
} catch (error) {
  // commander has already written its own message, and help is no failure
  if (error instanceof CommanderError) tell(error.message.replace(/^error: /, ''), error.exitCode === 0 ? 0 : 2)
  else if (error instanceof DecantError) fail(advised(error), error.exitCode)
  else if (isSystemError(error) || isOutOfFiles(error)) fail(advised(error), 2)
  else fail(`a bug, please report it: ${error instanceof Error ? error.stack : String(error)}`, 1)
}
