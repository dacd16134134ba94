import type { IdColumn } from '../ids.js'

/**
 * What codec sampled draws a row by: a hash of its id and view. However rows are grouped and wherever an export resumes, the same
 * draws are made; two ids that share a key by chance share uniform numbers, not targets.
 * @param view [n] where there are several of each sample
 * @returns [n]
 */
export function rowKeys({ ids, view }: { ids: IdColumn; view?: Int32Array | undefined }): Uint32Array {
  return Uint32Array.from({ length: ids.offsets.length - 1 }, (_, row) => {
    let key = 0x811c9dc5
    for (let i = ids.offsets[row]!; i < ids.offsets[row + 1]!; i++) key = Math.imul(key ^ ids.bytes[i]!, 0x01000193) // FNV-1a
    return pcg3d(key, view ? view[row]! : 0, 0)
  })
}

/** The uniform numbers of rows of these keys: number j of position p is a function of (key, p, j). [n, positions, width], in [0, 1). */
export function uniformsOf(
  keys: Uint32Array,
  { positions = 1, width }: { positions?: number; width: number },
): Float32Array {
  const uniforms = new Float32Array(keys.length * positions * width)
  let at = 0
  for (const key of keys)
    for (let position = 0; position < positions; position++)
      for (let j = 0; j < width; j++) uniforms[at++] = (pcg3d(key, position, j) >>> 8) * 2 ** -24
  return uniforms
}

/** The first of the three numbers of pcg3d (Jarzynski and Olano, "Hash Functions for GPU Rendering", JCGT 2020); the graph has the same. */
export function pcg3d(x: number, y: number, z: number): number {
  const scramble = (v: number) => (Math.imul(v, 1664525) + 1013904223) | 0
  let [a, b, c] = [scramble(x), scramble(y), scramble(z)]
  const mix = () => {
    a = (a + Math.imul(b, c)) | 0
    b = (b + Math.imul(c, a)) | 0
    c = (c + Math.imul(a, b)) | 0
  }
  mix()
  a ^= a >>> 16
  b ^= b >>> 16
  c ^= c >>> 16
  mix()
  return a >>> 0
}
