import { readFileSync } from 'node:fs'

/** A fenced block of a document; `file` where the line before says "Save as `file`:". */
export interface Block {
  language: string
  text: string
  file: string | undefined
  line: number
}

export function blocksOf(path: string): Block[] {
  const text = readFileSync(path, 'utf8')
  const fences = text.matchAll(/(?:Save as `([\w.-]+)`:\n\n)?^```(\w+)\n(.*?)^```$/gms)
  return [...fences].map(({ 1: file, 2: language, 3: body, index }) => ({
    language: language!,
    text: body!,
    file,
    line: text.slice(0, index).split('\n').length,
  }))
}

/** Every line of a document that calls decant: in blocks of sh and console, or indented by four spaces; continued lines joined. */
export function commandsOf(path: string): string[] {
  const shells = blocksOf(path).filter(({ language }) => language === 'sh' || language === 'console')
  const indented = [...readFileSync(path, 'utf8').matchAll(/^ {4}(.*(?:\\\n.*)*)$/gm)].map(([, line]) => line!)
  return [...shells.flatMap(({ text }) => text.replace(/ *\\\n */g, ' ').split('\n')), ...indented]
    .map((line) => line.replace(/ *\\\n */g, ' ').replace(/^\$ /, ''))
    .filter((line) => line.startsWith('decant '))
}
