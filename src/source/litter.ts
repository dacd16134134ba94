/** What systems and tools leave beside data: macOS in archives, Synology, Windows, Linux, Python. */
const LITTER = new Set([
  '__macosx',
  '@eadir',
  '#recycle',
  '$recycle.bin',
  'system volume information',
  'thumbs.db',
  'desktop.ini',
  'lost+found',
  '__pycache__',
])

/** Whether a file or a directory is no data by its name: hidden (`.DS_Store`, `._1.jpg`, `.ipynb_checkpoints`), or left there by a system. */
export const isLitter = (name: string): boolean => name.startsWith('.') || LITTER.has(name.toLowerCase())

/** Whether a part of a member's path in an archive is litter. */
export const isLitterPath = (path: string): boolean =>
  path.split('/').some((part) => part !== '.' && part !== '..' && isLitter(part))
