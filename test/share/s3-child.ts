import { openS3Store } from '../../src/share/stores/s3.js'
import { patternContent } from './content.js'

// Writes a large file to a bucket and prints a line for each part, slowly enough to be killed.
const [bucket, bytes] = process.argv.slice(2)
const store = await openS3Store({ bucket: bucket!, prefix: 'some/where/' })
const content = patternContent(Number(bytes))
const read = async function* (from: number, to: number) {
  await new Promise((resolve) => setTimeout(resolve, 300))
  yield* content.read(from, to)
}
await store.write('big', { ...content, read }, { onBytes: () => process.stdout.write('part\n') })
