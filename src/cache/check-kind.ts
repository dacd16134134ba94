import { DecantError, FormatError } from '../errors.js'
import { type Column, columnBytes, columnsOf, labelsByPosition } from './columns.js'
import type { Manifest, Plan } from './manifest.js'

/** Values that a row stores in one column: 256 MiB of float32, which still fits an Arrow list's int32 width. */
export const MAX_ROW_VALUES = 2 ** 26

/** Compares counts. */
export const expectIn = (path: string) => (what: string, expected: number, found: number) => {
  if (expected !== found) throw new FormatError(`${path}: ${what}: expected ${expected}, found ${found}`)
}

/**
 * What a plan and a manifest say of a row goes together: so what a reader would refuse is refused before it is written.
 * @returns the bytes of a row's columns
 * @throws FormatError
 */
export function checkKind(kind: Manifest | Plan, path: string): number {
  const { classes, codec, names, positionLabels, positions = 1 } = kind
  const expect = expectIn(path)
  if (positionLabels && !labelsByPosition({ classes, codec, positions }).positionLabels)
    throw new FormatError(
      `${path}: positionLabels: expected positions and a codec that keeps some classes, found ${codec}`,
    )
  if (names) expect('names, one per class', classes, names.length)
  const { classLabels, swapped, logits, floor } = kind.teacher
  if (classLabels) expect('teacher.classLabels, one per class', classes, classLabels.length)
  if (swapped || logits === 'sigmoid removed') expect("classes of a binary teacher's logits", 2, classes)
  if (floor !== undefined && logits !== 'log of probabilities')
    throw new FormatError(`${path}: teacher.floor: expected it with 'log of probabilities', found '${logits}'`)
  const columns = columnsIn(kind, path)
  const wide = columns.find(({ width }) => width > MAX_ROW_VALUES)
  if (wide)
    throw new FormatError(
      `${path}: ${positions} positions of ${classes} classes are ${wide.width} values a row in the column '${wide.name}' of codec ${codec}, expected at most ${MAX_ROW_VALUES}: a codec that keeps some classes (topk:k, sampled:k) stores fewer`,
    )
  return columnBytes(columns)
}

/** @throws FormatError where the codec does not work for so many classes */
function columnsIn(kind: Manifest | Plan, path: string): Column[] {
  try {
    return columnsOf(kind)
  } catch (error) {
    if (!(error instanceof DecantError)) throw error
    throw new FormatError(`${path}: ${error.message}`)
  }
}
