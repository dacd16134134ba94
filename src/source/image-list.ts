import { readdir, realpath, stat } from 'node:fs/promises'
import { join, sep } from 'node:path'
import { DecantError } from '../errors.js'
import { type IdColumn, joinIds } from './ids.js'

/** The images of a folder, sorted by the bytes of their paths. */
export interface ImageList {
  /** Paths relative to the folder, with '/': also the ids. */
  paths: IdColumn
  /** int32 [n]: index into `classes`, -1 where there are none. */
  labels: Int32Array
  classes: string[] | undefined
  /** Rows that are symbolic links out of the folder, or to no file: never followed. */
  links: Set<number>
}

/** What counts as an image by its name. Some of these cannot be decoded: such a row is reported as unreadable, and not silently missing. */
const IMAGE = /\.(jpe?g|png|webp|tiff?|gif|avif|heic|bmp|p[pgbn]m|jp2|jxl)$/i

/**
 * Lists images recursively. Images only in directories: the top directories are the classes, sorted by bytes (one without images keeps its place).
 * Images only at the top: flat, no labels. Names that begin with '.' and files that are no images by name are ignored.
 * A symbolic link to an image inside the folder is an image.
 * @throws DecantError: no images; both layouts at once; a link to a directory; a name that is not UTF-8
 */
export async function listImages(root: string): Promise<ImageList> {
  const real = await realpath(root)
  const found: { path: Buffer; outside: boolean }[] = []
  const directories: Buffer[] = []

  const visit = async (directory: string) => {
    const entries = await readdir(join(root, directory), { withFileTypes: true }).catch((error) => {
      throw new DecantError(`${join(root, directory)}: cannot be read: ${error.code ?? error.message}`)
    })
    for (const entry of entries) {
      if (entry.name.startsWith('.')) continue
      const path = directory ? `${directory}/${entry.name}` : entry.name
      if (entry.isDirectory()) {
        checkName(path)
        if (!directory) directories.push(Buffer.from(path))
        await visit(path)
      } else if (IMAGE.test(entry.name) && (entry.isFile() || entry.isSymbolicLink())) {
        checkName(path)
        found.push({
          path: Buffer.from(path),
          outside: entry.isSymbolicLink() && !(await isFileInside(join(root, path), real)),
        })
      } else if (entry.isSymbolicLink() && (await isDirectory(join(root, path))))
        throw new DecantError(
          `${join(root, path)}: links to directories are not followed; put the directory itself here`,
        )
    }
  }
  const checkName = (path: string) => {
    if (path.includes('\ufffd'))
      throw new DecantError(`${join(root, path)}: the name is not UTF-8, so it cannot be an id`)
  }
  await visit('')

  if (found.length === 0)
    throw new DecantError(
      `${root}: holds no images (jpg, png, webp, tiff, gif, avif); an IDX dataset is opened by its image file`,
    )
  found.sort((a, b) => a.path.compare(b.path))
  const top = found.find(({ path }) => !path.includes('/'))
  const nested = found.find(({ path }) => path.includes('/'))
  if (top && nested)
    throw new DecantError(
      `${root}: holds images at the top (${top.path}) and in directories (${nested.path}): expected one directory per class, or all at the top`,
    )
  const links = new Set<number>()
  for (const [i, { outside }] of found.entries()) if (outside) links.add(i)
  const names = directories.sort(Buffer.compare).map(String)
  const index = new Map(names.map((name, i) => [name, i]))
  const label = ({ path }: { path: Buffer }) => (top ? -1 : index.get(path.toString('utf8', 0, path.indexOf('/')))!)
  return {
    paths: joinIds(found.map(({ path }) => path)),
    labels: Int32Array.from(found, label),
    classes: top ? undefined : names,
    links,
  }
}

async function isFileInside(link: string, root: string): Promise<boolean> {
  const target = await realpath(link).catch(() => undefined)
  if (!target?.startsWith(root.endsWith(sep) ? root : root + sep)) return false
  return (await stat(target)).isFile()
}

const isDirectory = (path: string) =>
  stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  )
