import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { openTargets } from '../../src/cache/index.js'
import { pushTargets } from '../../src/share/index.js'
import { makePlan, writeTargets } from '../cache/datasets.js'
import { type FakeHub, startFakeHub, TOKEN } from '../helpers/fake-hub.js'
import { hashFolder, temporaryFolder } from '../helpers/folder.js'
import { hasPackage, python } from '../helpers/python.js'

// What decant pushes is a dataset to Hugging Face's own tools, which ask the hub in their own way.

const missing = !hasPackage('datasets') || !hasPackage('huggingface_hub')
const run = promisify(execFile)
let hub: FakeHub
beforeAll(async () => {
  hub = await startFakeHub()
})
afterAll(() => hub.close())

const SCRIPT = `
import json, sys
from datasets import load_dataset
from huggingface_hub import HfApi, snapshot_download

folder = snapshot_download("org/name", repo_type="dataset", local_dir=sys.argv[1])
info = HfApi().dataset_info("org/name")
rows = load_dataset("org/name", split="train")
hex = lambda values: b"".join(__import__("struct").pack("<f", value) for value in values).hex()
print(json.dumps({
    "sha": info.sha, "private": info.private, "files": [file.rfilename for file in info.siblings],
    "ids": rows["id"][:], "labels": rows["label"][:], "logits": [hex(row) for row in rows["logits"]],
}))
`

test.skipIf(missing)('huggingface_hub and datasets pull what was pushed, bit for bit', async () => {
  const dir = temporaryFolder()
  const plan = makePlan({ teacherLicense: 'apache-2.0' })
  await writeTargets(dir, plan)
  await pushTargets(dir, 'hf://datasets/org/name', { env: { HF_ENDPOINT: hub.endpoint, HF_TOKEN: TOKEN } })

  const [home, copy] = [temporaryFolder(), temporaryFolder()]
  const environment = { HF_ENDPOINT: hub.endpoint, HF_TOKEN: TOKEN, HF_HOME: home, HF_HUB_DISABLE_TELEMETRY: '1' }
  const { stdout } = await run(python, ['-c', SCRIPT, copy], {
    env: { ...process.env, ...environment },
    maxBuffer: 2 ** 26,
  })
  const found = JSON.parse(stdout.trim().split('\n').at(-1)!)
  const { '.gitattributes': _, ...files } = hashFolder(copy, (path, content) =>
    path.startsWith('.cache') ? '' : content,
  )
  const own = Object.fromEntries(Object.entries(files).filter(([path]) => !path.startsWith('.cache')))
  expect(own).toEqual(hashFolder(dir))
  expect(found).toMatchObject({ sha: hub.repos.get('org/name')!.branches.get('main'), private: true })

  const targets = await openTargets(dir)
  const { ids, labels, logits, rows } = await targets.load()
  await targets.close()
  const bits = Buffer.from(logits.buffer)
  expect(found.ids).toEqual(ids())
  expect(found.labels).toEqual([...labels].map((label) => (label < 0 ? null : label)))
  expect(found.logits).toEqual(Array.from({ length: rows }, (_, i) => bits.toString('hex', i * 12, i * 12 + 12)))
  expect(hub.leaked).toEqual([])
  expect(readFileSync(join(copy, 'README.md'), 'utf8')).toContain('license: mit\n')
})
