import { type FileHandle, open } from 'node:fs/promises'
import { convertTargets, openTargets } from '../../src/cache/index.js'

// Works where hardly any file can be opened: bash -c 'ulimit -n 256; node --import tsx few-files-child.ts DIR OUT'. Prints what each attempt,
// with one more file than the last one, ended with.
const [dir, out] = process.argv.slice(2) as [string, string]
const convert = () => convertTargets(dir, { codec: 'f16', shardMb: 0.001, out })
const read = async () => {
  const targets = await openTargets(dir)
  try {
    await targets.load()
  } finally {
    await targets.close()
  }
}
const outcome = (work: () => Promise<unknown>) =>
  work().then(
    () => 'done',
    (error: Error) => `${error.name}: ${error.message}`,
  )

await convert().catch(() => {}) // loads what is loaded when it is first used; the folder is the test's to check
const held: FileHandle[] = []
try {
  for (;;) held.push(await open('/dev/null'))
} catch {}
const said: string[] = []
for (let free = 0; free < 6; free++) {
  said.push(
    await outcome(read),
    await outcome(() => convertTargets(dir, { codec: 'f16', shardMb: 0.001, out: `${out}-${free}` })),
  )
  await held.pop()?.close()
}
for (const file of held) await file.close()
for (let free = 0; free < 6; free++)
  said.push(await outcome(() => convertTargets(dir, { codec: 'f16', shardMb: 0.001, out: `${out}-${free}` })))
console.log(JSON.stringify(said))
