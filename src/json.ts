import { FormatError } from './errors.js'

/** Brackets in brackets beyond this are in no file that is read here; whatever looks at the value afterwards calls itself as often. */
const MAX_DEPTH = 128
/** Values beyond this take more memory than a machine has to spare: a `{}` has 2 bytes in the file and 56 here. */
const MAX_VALUES = 2 ** 24

/** __proto__, perhaps with some of its letters as escapes. */
const PROTOTYPE = /__proto__|\\u00(5f|6f|7[024])/i

/**
 * What JSON of others says. How deep it is and how much it holds is looked at before it is parsed. (Rows of a source are bounded by their lines, and refused
 * one by one for what is too deep in them.)
 * @param anyKey allows the key __proto__, which reaches an object's prototype where the object is copied key by key
 * @throws FormatError that begins with `where`
 */
export function parseJson(text: string, where: string, { anyKey = false } = {}): unknown {
  try {
    checkStructure(text)
    // To be asked about each value takes some times as long, so only where that key may be there.
    return !anyKey && PROTOTYPE.test(text) ? JSON.parse(text, refusePrototype) : JSON.parse(text)
  } catch (error) {
    throw new FormatError(`${where}: not JSON: ${(error as Error).message.split('\n')[0]!.slice(0, 300)}`)
  }
}

function refusePrototype(key: string, value: unknown): unknown {
  if (key === '__proto__') throw new SyntaxError('the key __proto__ is not allowed')
  return value
}

const [QUOTE, BACKSLASH, COMMA, OPEN, CLOSE, BEGIN, END] = [...'"\\,[]{}'].map((c) => c.charCodeAt(0))

function checkStructure(text: string): void {
  let [depth, values, quoted] = [0, 1, false]
  for (let i = 0; i < text.length; i++) {
    const c = text.charCodeAt(i)
    if (quoted) {
      if (c === BACKSLASH) i++
      else if (c === QUOTE) quoted = false
    } else if (c === QUOTE) quoted = true
    else if (c === COMMA) values++
    else if (c === OPEN || c === BEGIN) {
      values++
      if (++depth > MAX_DEPTH) throw new SyntaxError(`brackets in more than ${MAX_DEPTH} brackets`)
    } else if (c === CLOSE || c === END) depth--
  }
  if (values > MAX_VALUES) throw new SyntaxError(`${values} values, expected at most ${MAX_VALUES}`)
}
