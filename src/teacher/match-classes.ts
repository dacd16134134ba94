import { DecantError } from '../errors.js'
import type { ClassLabel } from '../onnx/index.js'
import { type LabelClasses, listed, type Source } from '../source/index.js'

interface Meeting {
  /** Path of the teacher's model. */
  teacher: string
  /** As the model names its classes, in the order of the logits; undefined where it does not. */
  labels: readonly ClassLabel[] | undefined
  /** C, of the logits. */
  classes: number
  source: Pick<Source, 'uri' | 'topLabel' | 'classes' | 'options'>
}

/** Labels that need no mapping: integer k is class k. */
export const areInPlace = (labels: readonly ClassLabel[]): boolean => labels.every((label, k) => label === k)

/** What stands for a model's classes in labels, as `openSource` takes it. */
export const labelClasses = (labels: readonly ClassLabel[]): LabelClasses =>
  labels.every((label) => typeof label === 'number') ? { numbers: labels } : { names: labels.map(String) }

/**
 * The names of the classes, where they are known: the source's, else the model's own. Throws DecantError where labels, names and the teacher's classes do not belong together,
 * and where the source has labels that were not mapped to the model's own classes.
 */
export function matchClasses(meeting: Meeting): string[] | null {
  const { teacher, labels, classes, source } = meeting
  if (labels && labels.length !== classes)
    throw new DecantError(
      `${teacher}: it names ${labels.length} classes, ${listed(labels)}, but gives ${classes} values a row: they are not the logits of these classes; name the output that is with --output`,
    )
  if (source.topLabel >= classes)
    throw new DecantError(
      `${source.uri} has labels up to ${source.topLabel}, the teacher ${teacher} has classes 0..${classes - 1}: they do not belong together`,
    )
  if (labels && source.topLabel >= 0) checkMapped(meeting, labels)
  const names = source.classes ?? null
  if (names && names.length !== classes) {
    const whose = source.options.classes?.names ? 'given' : `found in ${source.uri}`
    throw new DecantError(
      `${names.length} class names for ${classes} logits of the teacher ${teacher}: ${whose} are ${listed(names)}; say with --classes the name of each logit, one a line`,
    )
  }
  return names ?? (labels && !areInPlace(labels) ? labels.map(String) : null)
}

/** Labels that the source mapped by itself are the model's only where both say the same of each class. */
function checkMapped({ teacher, source }: Meeting, labels: readonly ClassLabel[]): void {
  const { names, numbers } = labelClasses(labels)
  const { classes: found, options } = source
  const given = options.classes
  const differ = (what: string) =>
    new DecantError(
      `${source.uri}: ${what}, the teacher ${teacher} has the classes ${listed(labels)}: open the source with { classes: await readTeacherClasses(teacher) }, which maps labels to them`,
    )
  if (numbers) {
    // names, as of directories, are in the order of the logits, whatever numbers the model has for them
    if (areInPlace(numbers) || (found && !found.every(isNumber) && !given?.numbers)) return
    if (!isEqual(given?.numbers, numbers))
      throw differ(given?.numbers ? `its labels were mapped by ${listed(given.numbers)}` : 'its labels were not mapped')
    return
  }
  if (found === undefined) {
    if (names!.some(isNumber)) throw differ('its labels were not mapped')
  } else if (!given?.names) {
    if (!isEqual(found, names!)) throw differ(`its labels are ${listed(found)}`)
  } else {
    // the user's own names; but not the model's in another order
    const at = found.findIndex((name, k) => name !== names![k] && names!.includes(name))
    if (at >= 0)
      throw new DecantError(
        `the class names given have '${found[at]}' for logit ${at}, which in the teacher ${teacher} is logit ${names!.indexOf(found[at]!)}: its own are ${listed(names!)}`,
      )
  }
}

const isNumber = (name: string): boolean => name.trim() !== '' && Number.isFinite(Number(name))
const isEqual = <T>(a: readonly T[] | undefined, b: readonly T[]): boolean =>
  a?.length === b.length && a.every((value, i) => value === b[i])
