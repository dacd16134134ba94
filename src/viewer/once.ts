/** Does its work when it is first asked for, and again after it has failed. */
export function once<T>(work: () => Promise<T>): () => Promise<T> {
  let result: Promise<T> | undefined
  return () => {
    result ??= work()
    result.catch(() => {
      result = undefined
    })
    return result
  }
}
