import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { palette } from '../report/style.js'

/** The viewer's page; `html` refers to the others as page.css and page.js, relative to itself. */
export interface PageBundle {
  html: string
  js: string
  css: string
}

const folder = join(import.meta.dirname, 'page')

/** The page as the package has it; in a clone of the repository it is built from its sources, which takes some tenths of a second. */
export async function readBundle(): Promise<PageBundle> {
  if (!existsSync(join(folder, 'page.js'))) return buildBundle()
  const [html, js, css] = await Promise.all(
    ['html', 'js', 'css'].map((name) => readFile(join(folder, `page.${name}`), 'utf8')),
  )
  return { html: html!, js: js!, css: css! }
}

/** Builds the page from src/viewer/page, with esbuild, which only a clone has. */
export async function buildBundle(): Promise<PageBundle> {
  const { build, transform } = await import('esbuild')
  const [html, style, built] = await Promise.all([
    readFile(join(folder, 'page.html'), 'utf8'),
    readFile(join(folder, 'page.css'), 'utf8'),
    build({
      entryPoints: [join(folder, 'main.tsx')],
      bundle: true,
      write: false,
      minify: true,
      format: 'esm',
      platform: 'browser',
      target: 'es2022',
      charset: 'utf8',
      legalComments: 'none',
      jsx: 'automatic',
      jsxImportSource: 'preact',
      logLevel: 'silent',
    }),
  ])
  const css = await transform(palette + style, { loader: 'css', minify: true })
  return { html, js: built.outputFiles[0]!.text, css: css.code }
}

/**
 * The page with all it asks for inside: one file that needs no server, and may ask none. `answers` is by path, as in api.ts.
 */
export function writeAsOneFile({ html, js, css }: PageBundle, answers: Record<string, unknown>): string {
  // No answer may end the element it lies in, and no string of the script either.
  const data = JSON.stringify(answers).replaceAll('<', '\\u003c')
  const script = js.replaceAll('</script', '<\\/script').replaceAll('<!--', '<\\!--')
  const hash = createHash('sha256').update(script).digest('base64')
  const policy = `default-src 'none'; script-src 'sha256-${hash}'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'`
  return html
    .replace(
      '<meta charset="utf-8">',
      (meta) => `${meta}\n<meta http-equiv="Content-Security-Policy" content="${policy}">`,
    )
    .replace('<link rel="stylesheet" href="page.css">', () => `<style>${css.replaceAll('</', '<\\/')}</style>`)
    .replace(
      '<script type="module" src="page.js"></script>',
      () => `<script type="application/json" id="data">${data}</script>\n<script type="module">${script}</script>`,
    )
}
