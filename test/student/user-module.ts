import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { temporaryFolder } from './fixtures.js'

const [core, layers] = ['@tensorflow/tfjs-core', '@tensorflow/tfjs-layers'].map((name) =>
  JSON.stringify(import.meta.resolve(name)),
)

/** Writes a user's module, whose first line imports tfjs as `tf` and its layers as `tfl`: the body begins at line 2. */
export async function userModule(body: string, name = 'my-module.ts'): Promise<string> {
  const path = join(await temporaryFolder(), name)
  await writeFile(path, `import * as tf from ${core}; import * as tfl from ${layers}\n${body}`)
  return path
}
