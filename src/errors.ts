/**
 * An error that a user can act on: the message names the place, what was expected and what was found.
 * The command line prints it as one line and exits with `exitCode`; anything else is a bug and prints its stack.
 */
export class DecantError extends Error {
  override name = 'DecantError'
  readonly exitCode: number = 2
}

/** A file is not in the format it should be in: truncated, altered, of an unknown version, or hostile. */
export class FormatError extends DecantError {
  override name = 'FormatError'
}

/** What is asked for differs from what the folder already holds; `differences` are readable lines. */
export class MismatchError extends DecantError {
  override name = 'MismatchError'
  constructor(
    message: string,
    readonly differences: string[],
  ) {
    super([message, ...differences.map((line) => `  ${line}`)].join('\n'))
  }
}

/** An execution provider or engine was asked for and cannot run here. */
export class UnavailableError extends DecantError {
  override name = 'UnavailableError'
}

/** The work was stopped by the user (SIGINT, SIGTERM, SIGHUP) in a state that the same command resumes. */
export class InterruptedError extends DecantError {
  override name = 'InterruptedError'
  override readonly exitCode = 130
}
