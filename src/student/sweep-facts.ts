import { softTargets } from '../cache/index.js'
import { createClassMeans, MAX_MATRIX_CLASSES } from './class-means.js'
import { type Dataset, holdOut } from './dataset.js'
import { validPositions } from './evaluate.js'
import { spreadTail } from './spread-tail.js'
import { MAX_SHOWN, type Similarity, type SweepFacts } from './sweep-file.js'
import { createTally, type Tally } from './tally.js'
import { teacherOf } from './targets.js'

/** High enough to see more than the diagonal, and the temperature that students learn at unless told otherwise. */
const TEMPERATURE = 4
/** More rows than this do not change what the picture shows; they are taken evenly over the dataset. */
const MAX_ROWS = 50_000
const CHUNK = 1000

export function gatherFacts(options: {
  dataset: Dataset
  evaluation?: Dataset | undefined
  holdout: number
  teacher: string
}): SweepFacts {
  const { dataset, evaluation, holdout, teacher } = options
  const { rows, classes, names } = dataset
  const [on, measured] = evaluation
    ? [evaluation, holdOut(evaluation, 1).held]
    : [dataset, holdOut(dataset, holdout).held]
  return {
    rows,
    classes,
    names,
    measuredOn: evaluation ? 'evaluation' : measured.length > 0 ? 'held-out rows' : 'nothing',
    teacher: { file: teacher, metrics: measured.length > 0 ? measureTeacher(on, measured) : null },
    similarity: classes <= MAX_MATRIX_CLASSES ? findSimilar(dataset) : null,
  }
}

function measureTeacher(dataset: Dataset, samples: Uint32Array): Tally {
  const { targets, labels, classes } = dataset
  const rows = validPositions(dataset, samples).all
  const tally = createTally(classes)
  for (let at = 0; at < rows.length; at += CHUNK) {
    const some = rows.subarray(at, at + CHUNK)
    const hard = Int32Array.from(some, (row) => labels[row]!)
    const teacher = teacherOf(targets, some)
    if (teacher instanceof Float32Array) tally.add(teacher, hard)
    else {
      const logits = spreadTail(teacher, { classes, temperature: 1, labels: hard })
      for (let i = 0; i < some.length; i++) tally.add(logits(i), hard.subarray(i, i + 1))
    }
  }
  return tally.result()
}

function findSimilar(dataset: Dataset): Similarity {
  const { classes, targets, labels } = dataset
  const valid = validPositions(
    dataset,
    Uint32Array.from({ length: dataset.rows }, (_, row) => row),
  ).all
  const means = createClassMeans(classes)
  const every = Math.ceil(valid.length / MAX_ROWS)
  const picked = valid.filter((_, i) => i % every === 0)
  for (let at = 0; at < picked.length; at += CHUNK) {
    const some = picked.subarray(at, at + CHUNK)
    const teacher = teacherOf(targets, some)
    const spread =
      teacher instanceof Float32Array ? undefined : spreadTail(teacher, { classes, temperature: TEMPERATURE })
    some.forEach((row, i) => {
      const soft = spread
        ? softTargets(spread(i), 1)
        : softTargets((teacher as Float32Array).subarray(i * classes, (i + 1) * classes), TEMPERATURE)
      means.add(labels[row]! >= 0 ? labels[row]! : soft.indexOf(Math.max(...soft)), soft)
    })
  }
  const shown = new Set<number>()
  if (classes <= MAX_SHOWN) for (let c = 0; c < classes; c++) shown.add(c)
  else {
    for (const { classes: pair } of means.pairs(MAX_SHOWN))
      for (const c of pair) if (shown.size < MAX_SHOWN) shown.add(c)
  }
  const list = [...shown]
  return {
    temperature: TEMPERATURE,
    rows: picked.length,
    classes: list,
    means: list.map((from) => list.map((to) => means.mean(from, to))),
  }
}
