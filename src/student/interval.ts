/** A mean with its 95 % confidence interval, mean ± half. One value has no interval: half is null. */
export interface Interval {
  n: number
  mean: number
  half: number | null
}

/** Student's t interval of the mean (Student 1908), two-sided, 95 %. */
export function interval(values: number[]): Interval {
  const n = values.length
  const mean = values.reduce((sum, x) => sum + x, 0) / n
  if (n < 2) return { n, mean, half: null }
  const variance = values.reduce((sum, x) => sum + (x - mean) ** 2, 0) / (n - 1)
  return { n, mean, half: tQuantile(n - 1) * Math.sqrt(variance / n) }
}

/**
 * The t with P(|T| < t) = 0.95 for `freedom` degrees of freedom. With T = √ν·tan θ the density becomes cos^(ν-1) θ on
 * (-π/2, π/2): Simpson's rule and bisection on that.
 */
export function tQuantile(freedom: number): number {
  const integral = (to: number) => {
    const panels = 2000
    const h = to / panels
    let sum = 0
    for (let i = 0; i <= panels; i++) {
      sum += (i === 0 || i === panels ? 1 : i % 2 === 1 ? 4 : 2) * Math.cos(i * h) ** (freedom - 1)
    }
    return (sum * h) / 3
  }
  const target = 0.95 * integral(Math.PI / 2)
  let [low, high] = [0, Math.PI / 2]
  for (let i = 0; i < 60; i++) {
    const middle = (low + high) / 2
    if (integral(middle) < target) low = middle
    else high = middle
  }
  return Math.sqrt(freedom) * Math.tan((low + high) / 2)
}
