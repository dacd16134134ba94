import { codecOf, halfValues, TAIL_RANGE } from '../cache/index.js'
import { DecantError } from '../errors.js'
import type { Dataset } from './dataset.js'
import { describeInput } from './inputs.js'
import type { Method } from './method.js'

/** @throws DecantError where the method needs what the targets do not have */
export function checkTargets(
  { name, needs, parameters }: Method,
  dataset: Pick<Dataset, 'input' | 'targets' | 'labels' | 'samples' | 'lengths'>,
  { temperature }: { temperature: number },
): void {
  const { input, targets, labels, samples } = dataset
  const { kind } = codecOf(targets.codec)
  if (needs.labels && labels.every((label) => label < 0)) {
    throw new DecantError(`method '${name}' learns from labels, and no row of the targets has one`)
  }
  if (needs.partner === 'class' && (targets.positions ?? 1) > 1) {
    throw new DecantError(`method '${name}' compares rows of a class, and a row of the targets is a sequence`)
  }
  if (needs.partner === 'view' && samples.at(-1) === samples.length - 1) {
    throw new DecantError(
      `method '${name}' compares two views of a sample, and the targets have one: export again with --views 2 --augment …`,
    )
  }
  if (needs.teacher === 'dense' && kind === 'bucketed') {
    throw new DecantError(
      `method '${name}' reads the logits of all classes, and codec ${targets.codec} keeps some of them: export again with --codec f16, or take another method`,
    )
  }
  if (needs.teacher === 'draws' && !targets.columns.some((column) => column.name === 'count')) {
    const how = `${kind === 'dense' ? 'convert the targets' : 'export again'} with --codec sampled:50`
    throw new DecantError(
      `method '${name}' reads how often each class was drawn, which codec ${targets.codec} does not say: ${how}, or take method kd`,
    )
  }
  if (needs.input && (input.kind !== 'image' || input.shape[0] !== input.shape[1])) {
    throw new DecantError(`method '${name}' turns images: expected square ones, found ${describeInput(input)}`)
  }
  if (kind === 'bucketed' && needs.statistic && !targets.columns.some((column) => column.name === needs.statistic)) {
    throw new DecantError(
      `method '${name}' reads the teacher's logit of the label, which the targets do not hold beside codec ${targets.codec}: export again, or take another method`,
    )
  }
  const known = temperature >= TAIL_RANGE.low && temperature <= TAIL_RANGE.high
  if (needs.teacher && kind === 'bucketed' && 'temperature' in parameters && !known) {
    throw new DecantError(
      `temperature ${temperature}: codec ${targets.codec} knows what it left out from T = ${TAIL_RANGE.low} to ${TAIL_RANGE.high}`,
    )
  }
  if (kind === 'bucketed' && needs.statistic === 'std') checkDeviations(name, dataset, temperature)
}

/** A bucketed cache knows the tail of each row at T times the deviation of its logits only where that is in its codec's range. */
function checkDeviations(
  method: string,
  { targets, lengths }: Pick<Dataset, 'targets' | 'lengths'>,
  temperature: number,
): void {
  const { classes, positions = 1, columns } = targets
  const unbiased = Math.sqrt(classes / (classes - 1))
  let [least, most] = [Infinity, 0]
  for (const [i, half] of columns.find(({ name }) => name === 'std')!.values.entries()) {
    const isPadding = lengths && i % positions >= lengths[Math.floor(i / positions)]!
    const deviation = halfValues[half]! * unbiased
    if (isPadding || deviation === 0) continue // equal logits are so at any temperature
    least = Math.min(least, deviation)
    most = Math.max(most, deviation)
  }
  const { low, high } = TAIL_RANGE
  if (temperature * least >= low && temperature * most <= high) return
  const show = (value: number) => Number(value.toPrecision(3))
  const [from, to] = [low / least, high / most]
  const advice = from <= to ? `take a temperature from ${show(from)} to ${show(to)}` : 'export again with --codec f16'
  throw new DecantError(
    `temperature ${temperature}: method '${method}' reads each row at T times the deviation of its logits, here ${show(temperature * least)} to ${show(temperature * most)}, and codec ${targets.codec} knows what it left out from ${low} to ${high}: ${advice}`,
  )
}
