import { readdir, realpath, stat } from 'node:fs/promises'
import { join, sep } from 'node:path'
import { DecantError } from '../errors.js'
import { checkInput } from '../input-file.js'
import { ClassFinder, type LabelClasses, listed, numberIn } from './class-finder.js'
import { type IdColumn, joinIds } from './ids.js'
import { sortedByBytes } from './labels.js'
import { isLitter } from './litter.js'

/** The images of a folder, sorted by the bytes of their paths. */
export interface ImageList {
  /** Paths relative to the folder, with '/': also the ids. */
  paths: IdColumn
  /** int32 [n]; -1 in a flat folder. */
  labels: Int32Array
  /** Names of the classes, where they are known. */
  classes: string[] | undefined
  /** Rows that are symbolic links out of the folder, or to no file: never followed. */
  links: Set<number>
}

/** What counts as an image by its name. Some of these cannot be decoded: such a row is reported as unreadable, and not silently missing. */
const IMAGE = /\.(jpe?g|png|webp|tiff?|gif|avif|heic|bmp|p[pgbn]m|jp2|jxl)$/i

/**
 * Lists images recursively. Images only in directories: the top directories are the classes, by their names where those are given (`classes`), else sorted by
 * their bytes (one without images keeps its place). Images only at the top: flat, no labels. Litter (see isLitter) and files that are no images by name are ignored.
 * A symbolic link to an image inside the folder is an image.
 * @throws DecantError: no images; both layouts at once; a directory that is no class; a link to a directory; a name that is not UTF-8
 */
export async function listImages(root: string, classes?: LabelClasses): Promise<ImageList> {
  const real = await realpath(root)
  const found: { path: Buffer; outside: boolean }[] = []
  const directories: string[] = []

  const visit = async (directory: string) => {
    const entries = await readdir(join(root, directory), { withFileTypes: true }).catch((error) => {
      throw new DecantError(`${join(root, directory)}: cannot be read: ${error.code ?? error.message}`)
    })
    for (const entry of entries) {
      if (isLitter(entry.name)) continue
      const path = directory ? `${directory}/${entry.name}` : entry.name
      if (entry.isDirectory()) {
        checkName(path)
        if (!directory) directories.push(path)
        await visit(path)
      } else if (IMAGE.test(entry.name) && (entry.isFile() || entry.isSymbolicLink())) {
        checkName(path)
        found.push({
          path: Buffer.from(path),
          outside: entry.isSymbolicLink() && !(await isFileInside(join(root, path), real)),
        })
      } else if (IMAGE.test(entry.name))
        await checkInput(join(root, path)) // it is none
      else if (entry.isSymbolicLink() && (await isDirectory(join(root, path))))
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
  const directoryOf = (path: Buffer) => path.toString('utf8', 0, path.indexOf('/'))
  const used = top ? [] : [...new Set(found.map(({ path }) => directoryOf(path)))]
  const known = classes ? findClasses(root, used, classes) : top ? undefined : sortClasses(root, directories)
  return {
    paths: joinIds(found.map(({ path }) => path)),
    labels: Int32Array.from(found, ({ path }) => (top ? -1 : known!.labels.get(directoryOf(path))!)),
    classes: known?.names,
    links,
  }
}

interface Directories {
  labels: Map<string, number>
  names: string[] | undefined
}

/** The classes of directories by what is given for each class; here a number is one only where classes are numbers. */
function findClasses(root: string, directories: string[], classes: LabelClasses): Directories {
  const finder = new ClassFinder(classes)
  const given = classes.names ?? classes.numbers!
  const labels = new Map<string, number>()
  for (const directory of directories) {
    const found = finder.ofText(directory)
    if (!found || 'problem' in found || (found.kind === 'numbers' && !finder.byValue)) continue
    if (found.label >= 0 && found.label < given.length) labels.set(directory, found.label)
  }
  const unknown = directories.filter((directory) => !labels.has(directory))
  if (unknown.length > 0)
    throw new DecantError(
      `${root}: the directories ${listed(unknown)} are none of the classes, which are ${listed(given)}; say with --classes the directory of each logit, one a line`,
    )
  return { labels, names: classes.names && [...classes.names] }
}

/** Directories in the order of their bytes. That of numbers may be another one, and which of them the teacher's is is not known. */
function sortClasses(root: string, directories: string[]): Directories {
  const names = sortedByBytes(directories)
  const numbers = names.map((name) => numberIn(name) ?? Number.NaN)
  const turned = numbers.findIndex((n, i) => n < numbers[i - 1]!)
  if (turned > 0 && numbers.every((n) => !Number.isNaN(n)))
    throw new DecantError(
      `${root}: by name '${names[turned - 1]}' is before '${names[turned]}', by number it is not: say with --classes the directory of each logit, one a line`,
    )
  return { labels: new Map(names.map((name, i) => [name, i])), names }
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
