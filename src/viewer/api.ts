/**
 * What the viewer's server says and its page reads: JSON, GET only, below /api. In a page that was written as one file the same
 * answers lie inside it, by path ('/api/what', '/api/samples', '/api/samples/3', …; a picture as a data URI under its path): of
 * /api/samples one answer without a query, which the page filters itself. What cannot be answered has a status of 400 or more and is
 * a {@link Refusal}. Temperatures are in [0.5, 20]; classes are counted from 0; a soft target is a probability.
 */

/** Why there is no answer: one line for the reader. */
export interface Refusal {
  error: string
}

/** GET /api/what: which sections this page has, and what every section needs. */
export interface What {
  title: string
  /** the folder or URI, without credentials */
  place: string
  sections: Section[]
  /** null for a sweep or student whose targets are not at hand */
  targets: TargetsFacts | null
  /** the student that is asked beside the teacher (`disagree`, studentLogits), of a sweep the most accurate; null where there is none, or its inputs are not at hand */
  student: string | null
  /** whether something may still be running here, so that /api/live is worth following */
  live: boolean
}

export type Section = 'overview' | 'samples' | 'classes' | 'students' | 'live'

export interface TargetsFacts {
  rows: number
  classes: number
  /** [classes]; 'class 3' where the dataset has no names */
  names: string[]
  codec: string
  kind: 'dense' | 'bucketed'
  /** of token teachers: positions of a row; 1 otherwise */
  positions: number
  views: number
  labelled: boolean
  /** what a sample can be shown as; null where its source is not at hand */
  input: 'image' | 'text' | 'features' | null
  teacher: { file: string; sha256: string }
  license: string | null
  bytes: number
  manifest: string
}

/**
 * GET /api/overview: from all rows, or from as many random ones as answer within a second; `rows` says how many. Of targets by position each
 * valid position counts as one. Where not all classes are kept, the others are taken to share evenly what they have.
 */
export interface Overview {
  rows: number
  /** how many of them `byTemperature` is of */
  softened: number
  /** null without labels, and for targets by position */
  tally: { accuracy: number; top5: number | null; nll: number; ece: number; brier: number; aurc: number } | null
  /** 15 bins of confidence at T = 1: mean confidence, accuracy, rows; empty without labels */
  reliability: { confidence: number; accuracy: number; rows: number }[]
  /** mean entropy in nats, mean largest probability, mean mass of the tail (bucketed codecs; else null), for each of TEMPERATURES */
  byTemperature: { temperature: number; entropy: number; top: number; tail: number | null }[]
  fidelity: { temperature: number; klBuckets: number; klClasses: number; tailError: number | null }[]
  /** rows by label and rows by the teacher's first class, [classes] */
  labels: number[] | null
  predictions: number[]
}

/** Where a temperature slider stops: 0.5 to 20, eight to a doubling, so that 1, 2, 4, 8 and 16 are among them. */
export const TEMPERATURES: readonly number[] = [...Array.from({ length: 43 }, (_, i) => 2 ** (i / 8 - 1)), 20]

export interface SampleQuery {
  label?: number
  /** the teacher's first class */
  predicted?: number
  /** wrong: first class ≠ label; uncertain: largest probability at T = 1 below 0.5; disagree: the student's first class is another */
  only?: 'wrong' | 'uncertain' | 'disagree'
  /** row to go on from */
  from?: number
  /** instead of `from`: row to go back from, itself not among them */
  before?: number
  limit?: number
}

/**
 * GET /api/samples?label=&predicted=&only=&from=&limit=, or &before= for the last ones before a row: in order of rows. At most 50,000 rows are
 * looked at for one answer: those from `previous` (0) to `next` (the last one).
 */
export interface Samples {
  samples: SampleHead[]
  /** where to go on (`from`) and back (`before`); null at the end and at the beginning. There may be more that way though nothing was found yet. */
  next: number | null
  previous: number | null
  /** rows looked at for this answer */
  scanned: number
}

export interface SampleHead {
  row: number
  id: string
  view: number
  label: number | null
  /** the teacher's first class and its probability at T = 1 */
  top: number
  confidence: number
  /** the student's first class, where there is a student */
  student: number | null
  /** the text's beginning (at most 200 characters), or the first features; null for pictures and where the source is not at hand */
  preview: string | null
}

/** Whether a row is one that a query asks for, wherever it starts and ends. */
export function isWanted(head: SampleHead, { label, predicted, only }: SampleQuery): boolean {
  if (label !== undefined && head.label !== label) return false
  if (predicted !== undefined && head.top !== predicted) return false
  if (only === 'wrong') return head.label !== null && head.top !== head.label
  if (only === 'uncertain') return head.confidence < 0.5
  return only !== 'disagree' || (head.student !== null && head.student !== head.top)
}

/** GET /api/samples/<row>. The page softens: it has the logits, at any temperature. */
export interface Sample extends SampleHead {
  /** of targets by position: this one's, of how many valid ones; the query `position=` chooses */
  position: number | null
  positions: number
  /** classes that are known exactly, and their raw logits; all classes in order for dense codecs */
  index: number[]
  logits: number[]
  /** of bucketed codecs: log Σ_tail exp(z/T) for each of TEMPERATURES (-1e30 for an empty tail); else null */
  tail: number[] | null
  /** the student's raw logits [classes], where there is a student that can be asked */
  studentLogits: number[] | null
  text: string | null
  features: number[] | null
  /** whether /api/samples/<row>/image gives a PNG */
  image: boolean
}

/**
 * GET /api/classes: of random rows with a label (of all by first class where none has one), at most 100 a class, fewer where a class is rare
 * or classes are many. Where not all classes are kept, the others share evenly what they have. means.ts reads it.
 */
export interface Classes {
  /** at most 1000 classes: those of the most rows; classes without a row are left out */
  classes: number[]
  /** [n] rows that each class's mean is over */
  rows: number[]
  /** order in which similar classes stand side by side (the leaves of average-linkage clustering at T = 4), indices into `classes` */
  order: number[]
  /** [S] indices into TEMPERATURES: all up to 200 classes, every second up to 500, every fourth above, and the last */
  stops: number[]
  /** base64 of [S, n, n] uint16, little-endian: mean soft target p that a row of class i gives to class j at a stop, in steps of √(-ln p), as means.ts has them */
  means: string
}

/** GET /api/students: a sweep's students, or one. */
export interface Students {
  students: StudentRow[]
  /** the control's mean accuracy by student spec */
  controls: { student: string; accuracy: number }[]
}

export interface StudentRow {
  id: string
  student: string
  method: string
  temperature: number | null
  alpha: number | null
  seed: number
  /** null while it trains, and where it failed */
  metrics: {
    accuracy: number | null
    nll: number | null
    ece: number | null
    agreement: number | null
    kl: number | null
  } | null
  /** why there is no student: its training failed */
  failed?: string
  /** while it trains: steps taken, of how many, and the mean loss of the epoch under way (null before its first step) */
  training?: { step: number; steps: number; loss: number | null }
  epochs: { epoch: number; loss: number; accuracy: number | null }[]
}

/** GET /api/live: server-sent events, each one JSON: what runs here now, and Students again as it grows. */
export type Live =
  | { type: 'export'; rows: number; of: number; rowsPerSecond: number; secondsLeft: number | null; done: boolean }
  | { type: 'students'; students: Students; done: boolean }
