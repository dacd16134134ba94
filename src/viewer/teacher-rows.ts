import { type Buckets, type Chunk, codecOf, type Manifest } from '../cache/index.js'
import { spreadTail } from '../student/spread-tail.js'

/** What the teacher said in a chunk: n targets, of sequences each position one. */
export interface TeacherRows {
  count: number
  /** The first class of target i, of equals the lower one; where not all classes are kept, of those that are. */
  top(i: number): number
  /** At temperature T, of target i: entropy in nats, the largest probability, the mass of the classes that are not kept. */
  soften(temperature: number): (i: number) => Softened
  /** Raw logits of all classes at T = 1, valid until the next call; the classes that are not kept share evenly what they have. */
  spread(labels: Int32Array): (i: number) => Float32Array
  /** What is known of target i exactly: classes, and their raw logits. */
  known(i: number): { index: Int32Array | null; logits: Float32Array }
  /** log Σ exp(z/T) over the classes that are not kept, [n]; null where all are */
  logTail(temperature: number): ArrayLike<number> | null
}

export interface Softened {
  entropy: number
  top: number
  tail: number
}

/** Reads a chunk's targets, whatever the codec. */
export function readTeacher(chunk: Chunk, { codec, classes }: Pick<Manifest, 'codec' | 'classes'>): TeacherRows {
  return codecOf(codec).kind === 'dense' ? denseRows(chunk.logits, classes) : bucketedRows(chunk.buckets, classes)
}

function denseRows(logits: Float32Array, classes: number): TeacherRows {
  const of = (i: number) => logits.subarray(i * classes, (i + 1) * classes)
  return {
    count: logits.length / classes,
    top: (i) => argmax(of(i)),
    soften: (temperature) => (i) => soften(of(i), temperature),
    spread: () => of,
    known: (i) => ({ index: null, logits: of(i) }),
    logTail: () => null,
  }
}

function bucketedRows(buckets: Buckets, classes: number): TeacherRows {
  const { rows, k, index, logits } = buckets
  const of = (i: number) => logits.subarray(i * k, (i + 1) * k)
  return {
    count: rows,
    top: (i) => index[i * k + argmax(of(i))]!,
    soften(temperature) {
      const logTail = buckets.logTail(temperature)
      return (i) => soften(of(i), temperature, { log: logTail[i]!, classes: classes - k })
    },
    spread: (labels) => spreadTail(buckets, { classes, temperature: 1, labels }),
    known: (i) => ({ index: index.subarray(i * k, (i + 1) * k), logits: of(i) }),
    logTail: (temperature) => buckets.logTail(temperature),
  }
}

/** With x = (z - max)/T and S = Σ exp x: the entropy of softmax(z/T) is log S - Σ x exp(x) / S. */
function soften(z: Float32Array, temperature: number, tail?: { log: number; classes: number }): Softened {
  let max = Number.NEGATIVE_INFINITY
  for (let c = 0; c < z.length; c++) if (z[c]! > max) max = z[c]!
  let [sum, weighted] = [0, 0]
  for (let c = 0; c < z.length; c++) {
    const x = (z[c]! - max) / temperature
    const e = Math.exp(x)
    sum += e
    weighted += e * x
  }
  if (!tail || tail.log === Number.NEGATIVE_INFINITY)
    return { entropy: Math.log(sum) - weighted / sum, top: 1 / sum, tail: 0 }
  const each = tail.log - max / temperature - Math.log(tail.classes) // of one class of the tail
  const mass = tail.classes * Math.exp(each)
  const all = sum + mass
  return { entropy: Math.log(all) - (weighted + mass * each) / all, top: 1 / all, tail: mass / all }
}

export function argmax(values: ArrayLike<number>): number {
  let top = 0
  for (let i = 1; i < values.length; i++) if (values[i]! > values[top]!) top = i
  return top
}
