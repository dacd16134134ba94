import { FormatError } from '../errors.js'
import type { Bytes } from './bytes.js'
import { isLitterPath } from './litter.js'
import { type NpyColumn, openNpyColumn, tableOfArrays } from './npy.js'
import type { Table } from './table.js'
import { listZip, openMember } from './zip.js'

/**
 * An NPZ archive: arrays by name, of which those asked for must have the same number of rows. Arrays of numpy.savez lie in the archive as they are and are read
 * there; those of numpy.savez_compressed are decompressed into temporary files when the archive is opened.
 * @param wanted the arrays that will be read; the others are left alone
 */
export async function openNpz(bytes: Bytes, wanted: string[]): Promise<Table> {
  const members = (await listZip(bytes)).filter(({ name }) => name.endsWith('.npy') && !isLitterPath(name))
  const names = members.map(({ name }) => name.slice(0, -4))
  if (members.length === 0) throw new FormatError(`${bytes.path}: no arrays in the archive`)
  const used = names.length === 1 ? names : wanted.filter((name) => names.includes(name)) // one array needs no --input
  const opened: Bytes[] = []
  const close = async () => {
    await Promise.all(opened.map((member) => member.close()))
    await bytes.close()
  }
  try {
    const arrays: NpyColumn[] = []
    for (const name of new Set(used)) {
      const member = await openMember(bytes, members[names.indexOf(name)]!)
      opened.push(member)
      arrays.push(await openNpyColumn(member, name))
    }
    if (arrays.length === 0) return { ...empty(bytes), columns: names, noKeys: true, close }
    const table = tableOfArrays(arrays, { path: bytes.path, size: bytes.size, sha256: bytes.sha256, close })
    return { ...table, columns: names }
  } catch (error) {
    await close()
    throw error
  }
}

const empty = ({ path, size, sha256 }: Bytes) => ({
  path,
  size,
  sha256,
  starts: [0],
  blockBytes: () => 0,
  block: async () => ({ columns: [] }),
})
