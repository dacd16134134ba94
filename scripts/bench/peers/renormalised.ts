import { logSoftmax, type Peer, topClasses } from './peer.js'

/** The k largest logits (float16, two bytes for the class), softmax over them alone: every other class is told to be impossible. */
export const renormalised = (k: number): Peer => ({
  name: `renormalised top-k, k = ${k}`,
  bytes: () => 4 * k,
  keep(z) {
    const head = topClasses(z, k)
    return {
      head,
      logProbs(temperature) {
        const own = logSoftmax(
          Float64Array.from(head, (c) => z[c]!),
          temperature,
        )
        const all = new Float64Array(z.length).fill(Number.NEGATIVE_INFINITY)
        head.forEach((c, i) => {
          all[c] = own[i]!
        })
        return all
      },
    }
  },
})
