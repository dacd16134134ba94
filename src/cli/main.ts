#!/usr/bin/env node
import { CommanderError } from 'commander'
import { DecantError } from '../errors.js'
import { buildProgram } from './program.js'

const json = process.argv.includes('--json')

function fail(message: string, exitCode: number): void {
  if (json) process.stdout.write(`${JSON.stringify({ type: 'error', message, exitCode })}\n`)
  process.stderr.write(`decant: ${message}\n`)
  process.exitCode = exitCode
}

try {
  await buildProgram().parseAsync()
} catch (error) {
  // commander has already written its own message, and help is no failure
  if (error instanceof CommanderError) process.exitCode = error.exitCode === 0 ? 0 : 2
  else if (error instanceof DecantError) fail(error.message, error.exitCode)
  else fail(`a bug, please report it: ${error instanceof Error ? error.stack : String(error)}`, 1)
}
