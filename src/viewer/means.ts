import { type Classes, TEMPERATURES } from './api.js'

/** A class's mean soft targets at one temperature. */
export interface Similarity extends Pick<Classes, 'classes' | 'rows' | 'order'> {
  temperature: number
  /** [n, n] row-major: what a row of class i gives to class j, on average */
  mean: Float32Array
}

/**
 * One step of √(-ln p) as it is sent, in 16 bits: down to p = e^-36 with an error of at most 4e-5 of the whole, and of 0.1 % of p where p is
 * above 1e-14. Evenly spaced probabilities would lose the small ones, which are the dark knowledge; logarithms the large ones.
 */
export const STEP = 6 / 65_535

/** The means at a stop, which is one of `stops`; 0 for what is too small to be sent. */
export function decodeMeans({ classes, rows, order, stops, means }: Classes, stop: number): Similarity {
  const n = classes.length
  const from = stops.indexOf(stop) * n * n
  // Four characters of base64 are three bytes: those around the n² numbers that are wanted.
  const first = Math.floor((2 * from) / 3)
  const text = atob(means.slice(4 * first, 4 * Math.ceil((2 * (from + n * n)) / 3)))
  const at = 2 * from - 3 * first
  const mean = Float32Array.from({ length: n * n }, (_, i) => {
    const q = text.charCodeAt(at + 2 * i) + 256 * text.charCodeAt(at + 2 * i + 1)
    return q === 65_535 ? 0 : Math.exp(-((q * STEP) ** 2))
  })
  return { classes, rows, order, temperature: TEMPERATURES[stop]!, mean }
}
