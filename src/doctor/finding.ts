/** What was looked at, what was found, and what to do where something is not as it should be. */
export interface Finding {
  /** As 'node', 'provider cuda', 'free disk /tmp'. */
  name: string
  /** `missing`: not there; `broken`: there, and does not work; `warning`: works, and will be in the way. */
  status: 'ok' | 'warning' | 'missing' | 'broken'
  /** decant does not work without it. */
  required: boolean
  /** One line for people. */
  found: string
  /** What to do, in order: a command, or a sentence where no command does it. Empty where nothing is to be done. */
  fix: string[]
  /** Figures for scripts. */
  details?: Record<string, number | string | boolean | null>
}

/** Whether decant works on this machine: everything that is required does. */
export const isSound = (findings: readonly Finding[]): boolean =>
  findings.every(({ required, status }) => !required || status === 'ok' || status === 'warning')
