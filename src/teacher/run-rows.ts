/** Fused teacher outputs for `rows` rows: logits [rows, C] (float32, or float16 bits), row_sum [rows], and shift [rows] with float16. */
export interface TeacherOutput {
  rows: number
  logits: Float32Array | Uint16Array
  rowSum: Float32Array
  shift: Float32Array | undefined
}

/** Runs `rows` rows of uint8 pixels at once. */
export type RunOnce = (pixels: Uint8Array, rows: number) => Promise<TeacherOutput>

export interface RowRunner {
  run(pixels: Uint8Array, rows: number): Promise<TeacherOutput>
  /** The most rows that are tried at once; falls by halves when memory runs out. */
  readonly limit: number
}

/** ONNX Runtime's own words for it (BFCArena, CUDA, std::bad_alloc, Dawn). */
const outOfMemory =
  /out of memory|failed to allocate memory|bad_alloc|bad allocation|CUDA_ERROR_OUT_OF_MEMORY|OutOfMemory/i

/** Runs rows, and where the device's memory runs out halves the rows of one call until they fit; a single row that does not fit fails. */
export function createRowRunner(runOnce: RunOnce, onHalved: (limit: number) => void): RowRunner {
  let limit = Number.POSITIVE_INFINITY
  async function run(pixels: Uint8Array, rows: number): Promise<TeacherOutput> {
    if (rows <= limit) {
      try {
        return await runOnce(pixels, rows)
      } catch (error) {
        if (rows === 1 || !outOfMemory.test(String(error))) throw error
        limit = Math.ceil(rows / 2)
        onHalved(limit)
      }
    }
    const width = pixels.length / rows
    const parts: TeacherOutput[] = []
    for (let at = 0; at < rows; ) {
      const size = Math.min(limit, rows - at)
      parts.push(await run(pixels.subarray(at * width, (at + size) * width), size))
      at += size
    }
    return join(parts, rows)
  }
  return {
    run,
    get limit() {
      return limit
    },
  }
}

function join(parts: TeacherOutput[], rows: number): TeacherOutput {
  const first = parts[0]!
  const classes = first.logits.length / first.rows
  const logits =
    first.logits instanceof Uint16Array ? new Uint16Array(rows * classes) : new Float32Array(rows * classes)
  const rowSum = new Float32Array(rows)
  const shift = first.shift && new Float32Array(rows)
  let at = 0
  for (const part of parts) {
    logits.set(part.logits, at * classes)
    rowSum.set(part.rowSum, at)
    if (shift && part.shift) shift.set(part.shift, at)
    at += part.rows
  }
  return { rows, logits, rowSum, shift }
}
