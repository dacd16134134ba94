/**
 * The order of n things in which those that are alike stand side by side: the leaves of average-linkage clustering (UPGMA, Sokal and Michener
 * 1958) by nearest neighbours. Where two clusters are
 * joined, the one or the other is turned so that the ends that meet are the most alike.
 * @param alike [n × n], symmetric; the larger, the more alike. The diagonal is not looked at.
 */
export function orderByLikeness(alike: ArrayLike<number>, n: number): number[] {
  const link = Float64Array.from(alike) // of clusters, each under its first member's number
  const leaves = new Map<number, number[]>(Array.from({ length: n }, (_, i) => [i, [i]]))
  while (leaves.size > 1) {
    // Nearest neighbours lead to two that are each other's. Each step must be nearer than the last, or equals would lead round in circles.
    let a: number = leaves.keys().next().value!
    let b = nearest(link, a, { n, leaves })
    for (;;) {
      const c = nearest(link, b, { n, leaves })
      if (!(link[b * n + c]! > link[b * n + a]!)) break
      ;[a, b] = [b, c]
    }
    const [own, others] = [leaves.get(a)!, leaves.get(b)!]
    const [low, high] = [Math.min(a, b), Math.max(a, b)]
    for (const other of leaves.keys()) {
      if (other === a || other === b) continue
      const mean =
        (own.length * link[a * n + other]! + others.length * link[b * n + other]!) / (own.length + others.length)
      link[low * n + other] = mean
      link[other * n + low] = mean
    }
    const joined = join(low === a ? own : others, low === a ? others : own, (x, y) => alike[x * n + y]!)
    leaves.delete(high)
    leaves.set(low, joined)
  }
  return [...leaves.values()][0] ?? []
}

function nearest(link: Float64Array, to: number, { n, leaves }: { n: number; leaves: Map<number, unknown> }): number {
  let best = -1
  for (const other of leaves.keys())
    if (other !== to && (best < 0 || link[to * n + other]! > link[to * n + best]!)) best = other
  return best
}

function join(a: number[], b: number[], alike: (x: number, y: number) => number): number[] {
  const [first, last] = [(list: number[]) => list[0]!, (list: number[]) => list.at(-1)!]
  const ways = [
    { likeness: alike(last(a), first(b)), turnA: false, turnB: false },
    { likeness: alike(last(a), last(b)), turnA: false, turnB: true },
    { likeness: alike(first(a), first(b)), turnA: true, turnB: false },
    { likeness: alike(first(a), last(b)), turnA: true, turnB: true },
  ]
  const best = ways.reduce((best, way) => (way.likeness > best.likeness ? way : best))
  return [...(best.turnA ? a.reverse() : a), ...(best.turnB ? b.reverse() : b)]
}
