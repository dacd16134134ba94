import Table from 'cli-table3'
import type { Interval, SweepRow } from '../student/index.js'
import { hasAlpha, hasTemperature, varied } from './names.js'

const borderless = {
  top: '', 'top-mid': '', 'top-left': '', 'top-right': '',
  bottom: '', 'bottom-mid': '', 'bottom-left': '', 'bottom-right': '',
  left: '', 'left-mid': '', mid: '', 'mid-mid': '', right: '', 'right-mid': '', middle: '  ',
} // biome-ignore format: one picture

/** A sweep's table for the terminal: mean ± 95 % interval over the seeds, and the gain over the control, paired by seed. */
export function renderSweep(rows: SweepRow[]): string {
  const table = new Table({
    head: [
      'student',
      'method',
      'T',
      'alpha',
      'seeds',
      'accuracy %',
      'gain over control',
      'NLL',
      'ECE %',
      'agreement %',
    ],
    chars: borderless,
    style: { head: [], border: [], 'padding-left': 0, 'padding-right': 0 },
    colAligns: ['left', 'left', 'right', 'right', 'right', 'right', 'right', 'right', 'right', 'right'],
  })
  for (const row of rows) {
    const { student, method, temperature, alpha, control, seeds, measures, gain } = row
    table.push([
      student,
      control ? `${method} (control)` : [method, ...varied(row, rows)].join(' '),
      control || !hasTemperature(row) ? '' : String(temperature),
      control || !hasAlpha(row) ? '' : String(alpha),
      String(seeds.length),
      show(measures.accuracy, 100, 2),
      show(gain.accuracy, 100, 2, true),
      show(measures.nll, 1, 4),
      show(measures.ece, 100, 2),
      show(measures.agreement, 100, 2),
    ])
  }
  return table.toString()
}

function show(value: Interval | undefined, scale: number, digits: number, signed = false): string {
  if (!value) return ''
  const mean = (value.mean * scale).toFixed(digits)
  const half = value.half === null ? '' : ` ± ${(value.half * scale).toFixed(digits)}`
  return `${signed && value.mean >= 0 ? '+' : ''}${mean}${half}`
}

/** The row with the best accuracy (agreement where there are no labels) of a student's rows that have a teacher. */
export function bestRow(rows: SweepRow[], student: string): SweepRow | undefined {
  const score = (row: SweepRow) => (row.measures.accuracy ?? row.measures.agreement)?.mean ?? Number.NEGATIVE_INFINITY
  return rows
    .filter((row) => row.student === student && !row.control)
    .reduce<SweepRow | undefined>((best, row) => (best && score(best) >= score(row) ? best : row), undefined)
}
