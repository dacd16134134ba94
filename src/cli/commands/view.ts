import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { Command } from 'commander'
import { DecantError } from '../../errors.js'
import type { WritePageOptions } from '../../viewer/write-page.js'
import { bytes, count } from '../format.js'
import { ENDING, interruptible } from '../interrupt.js'
import { integer } from '../parse.js'
import { openTerminal, type Terminal } from '../terminal.js'

interface Flags {
  targets?: string
  student?: string
  source?: string | false
  port?: number
  open?: boolean
  export?: string
  samples?: number
  json?: boolean
}

const examples = `
Examples:
  $ decant view targets --open
  $ decant view targets --student student          (where the student disagrees)
  $ decant view runs/sweep                         (also while it trains)
  $ decant view student --targets test-targets
  $ decant view targets --export page.html         (for a model card)
  $ decant view targets                            (also while decant export writes it)

The page is served to this machine only. Temperatures go from 0.5 to 20. Ctrl-C ends it.`

export function viewCommand(): Command {
  return new Command('view')
    .description('look at a soft-target dataset, a sweep or a student in the browser')
    .argument('<place>', 'folder or URI of a soft-target dataset, folder of a sweep, of a student, of a running export')
    .option('--targets <dir>', 'of a sweep or a student: the soft-target dataset to see it with')
    .option('--student <dir>', "of a dataset: a student's folder, to see where it disagrees with the teacher")
    .option(
      '--source <uri>',
      "the samples, where they are not at the manifest's path any more; not needed where inputs are stored",
    )
    .option('--no-source', 'show no samples: large sources take long to open')
    .option('--port <n>', 'port of 127.0.0.1 (default: a free one)', integer(1, 65_535))
    .option('--open', 'open the browser')
    .option('--export <file>', 'write the page as one file with its answers inside, as page.html, and end')
    .option('--samples <n>', 'of --export: samples in it (default 60)', integer(0, 10_000))
    .option('--json', 'the URL as JSON on stdout')
    .addHelpText('after', examples)
    .action(run)
}

async function run(place: string, flags: Flags): Promise<void> {
  const terminal = openTerminal({ json: flags.json === true })
  const { targets, student, source, export: path } = flags
  const subject = { place, targets, student, source, onNote: (text: string) => terminal.note(text) }
  if (flags.samples !== undefined && path === undefined) throw new DecantError('--samples goes with --export')
  if (path !== undefined) {
    for (const name of ['open', 'port'] as const)
      if (flags[name] !== undefined)
        throw new DecantError(`--${name} is for a page that is served, --export writes a file`)
    return write({ ...subject, path, samples: flags.samples }, terminal)
  }
  const { serveViewer } = await import('../../viewer/serve-viewer.js')
  const viewer = await serveViewer({
    ...subject,
    port: flags.port,
    onError: (error) =>
      terminal.note(`a bug, please report it: ${error instanceof Error ? error.stack : String(error)}`),
  })
  terminal.event({ type: 'viewer', url: viewer.url } as { type: string })
  terminal.print(`${viewer.url}  (Ctrl-C ends it)`)
  if (flags.open) openBrowser(viewer.url, (text) => terminal.note(text))
  await Promise.race(ENDING.map((signal) => once(process, signal)))
  await viewer.close()
}

async function write(options: WritePageOptions, terminal: Terminal): Promise<void> {
  const { writePage } = await import('../../viewer/write-page.js')
  const written = await interruptible(
    (signal) => writePage(options, signal),
    () => terminal.note('stopping'),
  )
  terminal.event({ type: 'page', path: options.path, ...written } as { type: string })
  terminal.print(`wrote ${options.path}: ${bytes(written.bytes)}, ${count(written.samples)} samples`)
}

/** By the system's own way to open a URL. */
function openBrowser(url: string, note: (text: string) => void): void {
  const [command, ...before] =
    process.platform === 'darwin' ? ['open'] : process.platform === 'win32' ? ['cmd', '/c', 'start', ''] : ['xdg-open']
  const child = spawn(command!, [...before, url], { stdio: 'ignore', detached: true })
  child.on('error', () => note(`no browser could be opened here: go to ${url}`))
  child.unref()
}
