/** Read, run and written at once, at most. */
const STRETCH_BYTES = 2 * 2 ** 20
/** Run at once, at most, and at least a batch: progress is seen, and sessions end together. */
const STRETCH_SECONDS = 0.05
/** Of a session, so that none is without work for long. */
const LEAST_STRETCHES = 4

/**
 * Small batches are read, sent to the device and written several at once: to wake a thread costs tens of microseconds. What is on disk
 * depends neither on where a run began nor on the machine: a shard has whole stretches of the largest size, and those of a slow teacher, or
 * of a source that is too small to go round the sessions, are a half of that, a quarter, …
 */
export function chooseStretch(options: {
  batch: number
  /** about */
  rowsPerShard: number
  /** of a row, input and targets */
  bytes: number
  /** of a row, about */
  seconds: number
  rows: number
  sessions: number
}): { stretch: number; rowsPerShard: number } {
  const { batch, rowsPerShard, bytes, seconds, rows, sessions } = options
  const batches = Math.max(1, Math.round(rowsPerShard / batch))
  const most = Math.max(1, Math.min(batches, STRETCH_BYTES / (batch * bytes)))
  const largest = 2 ** Math.floor(Math.log2(most))
  let together = largest
  const fits = (stretch: number) => stretch * seconds <= STRETCH_SECONDS && stretch * sessions * LEAST_STRETCHES <= rows
  while (together > 1 && !fits(together * batch)) together /= 2
  return { stretch: together * batch, rowsPerShard: Math.round(batches / largest) * largest * batch }
}
