/** What differs between two JSON values, a readable line a key: `teacher.sha256: ab12… in the folder, cd34… now`. */
export function diffJson(old: unknown, now: unknown, ignore: string[] = []): string[] {
  const [before, after] = [flatten(old), flatten(now)]
  return [...new Set([...before.keys(), ...after.keys()])]
    .filter((key) => before.get(key) !== after.get(key) && !ignore.includes(key))
    .map((key) => `${key}: ${shorten(before.get(key))} in the folder, ${shorten(after.get(key))} now`)
}

function flatten(value: unknown, prefix = '', into = new Map<string, string>()): Map<string, string> {
  if (typeof value === 'object' && value !== null && !Array.isArray(value))
    for (const [key, child] of Object.entries(value)) flatten(child, prefix ? `${prefix}.${key}` : key, into)
  else if (value !== undefined) into.set(prefix, JSON.stringify(value))
  return into
}

const shorten = (text = 'absent') => (text.length <= 100 ? text : `${text.slice(0, 97)}…`)
