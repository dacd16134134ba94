const grouped = new Intl.NumberFormat('en')

export const count = (n: number): string => grouped.format(n)
export const plural = (n: number, one: string, many = `${one}s`): string => `${count(n)} ${n === 1 ? one : many}`
export const percent = (share: number, digits = 1): string => `${(share * 100).toFixed(digits)} %`

/** A probability: four decimals, or a power of ten where those would be zeros. */
export const probability = (p: number): string => (p >= 1e-4 || p === 0 ? p.toFixed(4) : p.toExponential(1))

export const temperature = (t: number): string => (t >= 10 ? t.toFixed(1) : t.toFixed(2))

export function bytes(n: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB']
  let unit = 0
  let value = n
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000
    unit++
  }
  return `${value < 100 ? Number(value.toPrecision(3)) : Math.round(value)} ${units[unit]}`
}

export function duration(seconds: number): string {
  const whole = Math.round(seconds)
  if (whole < 60) return `${whole} s`
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${String(whole % 60).padStart(2, '0')} s`
  return `${Math.floor(whole / 3600)} h ${String(Math.floor((whole % 3600) / 60)).padStart(2, '0')} min`
}

export const small = (value: number): string =>
  value === 0 ? '0' : Math.abs(value) >= 1e-3 ? value.toPrecision(3) : value.toExponential(1)
