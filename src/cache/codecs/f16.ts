import type { DenseCodec } from './codec.js'
import { decodeHalves } from './decode-halves.js'
import { halfOfGap } from './half.js'
import { firstZeros, topOf } from './rows.js'

/**
 * Codec f16: `shift` = the row's top logit (float32), `logits` = float16(max(z - shift, -65504)); 2 bytes a class and 4 a row.
 * float16 is most precise near zero, where subtracting the top logit puts the classes that carry the probability:
 * a worst-row KL of 9e-7 over 1000 classes where float16 of z itself has 6e-5. The fused teacher graph computes the same.
 */
export const f16: DenseCodec = {
  kind: 'dense',
  columns: ({ classes }) => [
    { name: 'logits', type: 'float16', width: classes, list: true },
    { name: 'shift', type: 'float32', width: 1, list: false },
  ],

  encode({ logits, classes }) {
    const rows = logits.length / classes
    const halves = new Uint16Array(logits.length)
    const shift = new Float32Array(rows)
    for (let row = 0, i = 0; row < rows; row++) {
      const top = topOf(logits, i, i + classes)
      shift[row] = top
      // halfOf rounds the gap to float32 first, as the graph's Sub does
      for (const to = i + classes; i < to; i++) halves[i] = halfOfGap(logits[i]! - top)
    }
    return { logits: halves, shift }
  },

  // The gap of the top alone is 0 to the last bit: what rounds to it from below is -0.
  tops: ({ logits }, { classes }) => firstZeros(logits as Uint16Array, classes),

  decode({ logits, shift }, { classes }, into) {
    return decodeHalves({ halves: logits as Uint16Array, shift: shift as Float32Array, width: classes }, into)
  },
}
