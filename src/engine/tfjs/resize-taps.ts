/** As tfjs's resizing has them. */
export interface Sampling {
  alignCorners: boolean
  halfPixelCenters?: boolean
}

/** Elements of one axis that an element of the resized axis is made of, with their weights. */
export type Taps = { index: number; weight: number }[]

/** The taps of each element of an axis of `to` elements, made of one of `from`. */
export type Axis = (from: number, to: number, sampling: Sampling) => Taps[]

function ratio(from: number, to: number, { alignCorners }: Sampling): number {
  return alignCorners && to > 1 ? (from - 1) / (to - 1) : from / to
}

export const linear: Axis = (from, to, sampling) => {
  const scale = ratio(from, to, sampling)
  return Array.from({ length: to }, (_, i) => {
    const at = sampling.halfPixelCenters ? scale * (i + 0.5) - 0.5 : scale * i
    const low = Math.max(0, Math.floor(at))
    const part = at - low
    return [
      { index: low, weight: 1 - part },
      { index: Math.min(from - 1, Math.max(0, Math.ceil(at))), weight: part },
    ]
  })
}

export const nearest: Axis = (from, to, sampling) => {
  const scale = ratio(from, to, sampling)
  const round = sampling.alignCorners ? Math.round : Math.floor
  return Array.from({ length: to }, (_, i) => {
    const at = round(scale * (sampling.halfPixelCenters ? i + 0.5 : i))
    return [{ index: Math.max(0, Math.min(from - 1, at)), weight: 1 }]
  })
}
