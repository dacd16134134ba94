import { Command } from 'commander'
import { openTerminal } from '../terminal.js'

const examples = `
Examples:
  $ openssl genpkey -algorithm ed25519 -out private.pem
  $ openssl pkey -in private.pem -pubout -out public.pem
  $ decant sign targets --key private.pem
  $ decant verify targets --key public.pem

Writes manifest.json.sig, the Ed25519 signature of manifest.json, which names every shard by its hash. push and pull take it along. Without
decant: openssl pkeyutl -verify -pubin -inkey public.pem -rawin -in manifest.json -sigfile manifest.json.sig`

export function signCommand(): Command {
  return new Command('sign')
    .description('sign a soft-target dataset: what it holds comes from who has the key')
    .argument('<dir>', 'folder of a soft-target dataset')
    .requiredOption('--key <file>', 'private Ed25519 key, PEM')
    .option('--json', 'the event as a JSON line on stdout')
    .addHelpText('after', examples)
    .action(async (dir: string, { key, json }: { key: string; json?: boolean }) => {
      const { readKey, signTargets } = await import('../../cache/index.js')
      const terminal = openTerminal({ json: json === true })
      const manifest = await signTargets(dir, { key: await readKey(key) })
      terminal.event({ type: 'signed', manifest } as { type: string })
      terminal.print(`signed ${dir}: manifest ${manifest}`)
    })
}
