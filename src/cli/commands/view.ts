import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { Command } from 'commander'
import { integer } from '../parse.js'
import { openTerminal } from '../terminal.js'

interface Flags {
  targets?: string
  student?: string
  source?: string | false
  port?: number
  open?: boolean
  json?: boolean
}

const examples = `
Examples:
  $ decant view targets --open
  $ decant view targets --student student          (where the student disagrees)
  $ decant view runs/sweep                         (also while it trains)
  $ decant view student --targets test-targets
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
    .option('--json', 'the URL as JSON on stdout')
    .addHelpText('after', examples)
    .action(run)
}

async function run(place: string, flags: Flags): Promise<void> {
  const { serveViewer } = await import('../../viewer/serve-viewer.js')
  const terminal = openTerminal({ json: flags.json === true })
  const viewer = await serveViewer({
    place,
    targets: flags.targets,
    student: flags.student,
    source: flags.source,
    port: flags.port,
    onNote: (text) => terminal.note(text),
    onError: (error) =>
      terminal.note(`a bug, please report it: ${error instanceof Error ? error.stack : String(error)}`),
  })
  terminal.event({ type: 'viewer', url: viewer.url } as { type: string })
  terminal.print(`${viewer.url}  (Ctrl-C ends it)`)
  if (flags.open) openBrowser(viewer.url, (text) => terminal.note(text))
  await Promise.race([once(process, 'SIGINT'), once(process, 'SIGTERM')])
  await viewer.close()
}

/** By the system's own way to open a URL. */
function openBrowser(url: string, note: (text: string) => void): void {
  const [command, ...before] =
    process.platform === 'darwin' ? ['open'] : process.platform === 'win32' ? ['cmd', '/c', 'start', ''] : ['xdg-open']
  const child = spawn(command!, [...before, url], { stdio: 'ignore', detached: true })
  child.on('error', () => note(`no browser could be opened here: go to ${url}`))
  child.unref()
}
