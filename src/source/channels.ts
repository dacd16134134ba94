/** Of a picture: gray, or red, green and blue. */
export type Channels = 1 | 3

/** Bytes of a picture with as many channels as are wanted. */
export function toChannels(data: Uint8Array, from: Channels, to: Channels): Uint8Array {
  if (from === to) return data
  return from === 1 ? grayToRgb(data) : rgbToGray(data)
}

/** ITU-R 601-2 luma in 16-bit fixed point (19595 + 38470 + 7471 = 65536), so that r = g = b is kept exactly. uint8 [n, 3] -> [n]. */
export function rgbToGray(rgb: Uint8Array): Uint8Array {
  const gray = new Uint8Array(rgb.length / 3)
  for (let i = 0, at = 0; i < gray.length; i++, at += 3)
    gray[i] = (rgb[at]! * 19595 + rgb[at + 1]! * 38470 + rgb[at + 2]! * 7471 + 0x8000) >>> 16
  return gray
}

/** uint8 [n] -> [n, 3]. */
export function grayToRgb(gray: Uint8Array): Uint8Array {
  const rgb = new Uint8Array(gray.length * 3)
  for (let i = 0, at = 0; i < gray.length; i++, at += 3) rgb[at] = rgb[at + 1] = rgb[at + 2] = gray[i]!
  return rgb
}

/** Red and blue change places: uint8 [n, 3] -> [n, 3]. */
export function swapRedBlue(pixels: Uint8Array): Uint8Array {
  const swapped = new Uint8Array(pixels.length)
  for (let at = 0; at < pixels.length; at += 3) {
    swapped[at] = pixels[at + 2]!
    swapped[at + 1] = pixels[at + 1]!
    swapped[at + 2] = pixels[at]!
  }
  return swapped
}
