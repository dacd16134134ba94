/**
 * Makes the function that runs work while what all of it takes together stays within `total`, in the order it was asked for. What takes more than
 * `total` runs alone.
 */
export function createBudget(total: number): <T>(amount: number, work: () => Promise<T>) => Promise<T> {
  let taken = 0
  const waiting: { amount: number; start: () => void }[] = []
  const startNext = () => {
    const next = waiting[0]
    if (!next || taken + next.amount > total) return
    waiting.shift()
    taken += next.amount
    next.start()
    startNext()
  }
  return async (amount, work) => {
    const own = Math.min(amount, total)
    await new Promise<void>((start) => {
      waiting.push({ amount: own, start })
      startNext()
    })
    try {
      return await work()
    } finally {
      taken -= own
      startNext()
    }
  }
}
