/** C0 without tab and line feed, DEL, C1; line and paragraph separators; what turns the direction of text. */
const UNSAFE = /[\p{Cc}\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/gu

/**
 * Text for a terminal: control characters become `\u001b` and the like. What files of others say (names, ids, reasons) must not move the cursor,
 * set the title or turn the text around. In JSON it means what it meant before.
 */
export function plain(text: string): string {
  return text.replace(UNSAFE, (one) => (one === '\n' || one === '\t' ? one : escaped(one)))
}

/** The same for what is one line: its line breaks are not its own. */
export const plainLine = (text: string): string => plain(text).replaceAll('\n', escaped('\n'))

const escaped = (one: string) => `\\u${one.charCodeAt(0).toString(16).padStart(4, '0')}`
