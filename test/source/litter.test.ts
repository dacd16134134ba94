import { mkdir, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { expect, test } from 'vitest'
import { openSource } from '../../src/source/index.js'
import { npy, tar, zip } from './files-of-rows.js'
import { plain, temporaryFolder } from './fixtures.js'

/** What macOS's archives, Synology's and Windows's folders and Jupyter leave beside the data, each with a picture's name. */
const litter = [
  '__MACOSX/cat/._1.png',
  '@eaDir/1.png',
  '.ipynb_checkpoints/1.png',
  '$RECYCLE.BIN/1.png',
  '.DS_Store',
  '._1.png',
  'Thumbs.db',
]
const classes = ['cat', 'dog']

test('is no class of a folder, with and without names, and no image', async () => {
  const root = await temporaryFolder()
  const image = await plain(2, 2)
  for (const path of [...litter, ...litter.map((path) => `cat/${path}`), 'cat/1.png', 'dog/2.png']) {
    await mkdir(dirname(join(root, path)), { recursive: true })
    await writeFile(join(root, path), image)
  }
  for (const options of [{}, { classes: { names: classes } }])
    expect(await openSource(root, options)).toMatchObject({ rows: 2, classes })
})

test('is no file of a folder of files', async () => {
  const root = await temporaryFolder()
  for (const name of ['a.csv', '._a.csv', '.a.csv']) await writeFile(join(root, name), 'x\n1\n')
  expect((await openSource(root)).rows).toBe(1)
})

test('is no sample of a WebDataset, and no array of an NPZ archive', async () => {
  const root = await temporaryFolder()
  const image = await plain(2, 2)
  const members = [...litter.filter((path) => path.endsWith('.png')), './cat/1.png']
  await writeFile(join(root, 'a.tar'), tar(Object.fromEntries(members.map((path) => [path, image]))))
  expect((await openSource(join(root, 'a.tar'))).rows).toBe(1)
  await writeFile(
    join(root, 'a.npz'),
    zip({ 'x.npy': npy('<f4', [3], new Float32Array(3)), '__MACOSX/._x.npy': Buffer.from('Mac') }),
  )
  expect((await openSource(join(root, 'a.npz'))).rows).toBe(3)
})
