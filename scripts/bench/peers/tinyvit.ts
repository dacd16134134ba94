import { logSoftmax, type Peer, topClasses } from './peer.js'

/**
 * TinyViT (Wu et al. 2022, 2207.10666, section 3.1): the top-k probabilities at T = 1 (float16, two bytes for the class); the mass that is
 * left goes evenly to the others. At another T the probabilities are what there is to soften.
 */
export const tinyvit = (k: number): Peer => ({
  name: `TinyViT, k = ${k}`,
  bytes: () => 4 * k,
  keep(z) {
    const head = topClasses(z, k)
    const p = logSoftmax(z).map(Math.exp)
    const rest = head.reduce((left, c) => left - p[c]!, 1)
    const kept = new Float64Array(z.length).fill(Math.log(Math.max(rest, 1e-12) / (z.length - k)))
    for (const c of head) kept[c] = Math.log(Math.max(p[c]!, 2 ** -24)) // float16's smallest
    return { head, logProbs: (temperature) => logSoftmax(kept, temperature) }
  },
})
