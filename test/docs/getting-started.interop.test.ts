import { execFileSync } from 'node:child_process'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { commandFolder } from '../helpers/commands.js'
import { temporaryFolder } from '../helpers/folder.js'
import { blocksOf } from '../helpers/markdown.js'
import { hasPackage } from '../helpers/python.js'

const packages = ['torch', 'onnxscript', 'sklearn', 'pyarrow']

test.skipIf(!packages.every(hasPackage))(
  'docs/getting-started.md does what it says, as it stands, in an empty folder',
  () => {
    const root = temporaryFolder()
    const dir = join(root, 'digits')
    mkdirSync(dir)
    const blocks = blocksOf('docs/getting-started.md').filter(({ language }) =>
      ['sh', 'python', 'json'].includes(language),
    )
    expect(blocks.filter(({ language, file }) => language !== 'sh' && file === undefined)).toEqual([])

    // One shell, as a reader has one: folders and variables stay. A file is written where the reader has got to.
    const script = blocks.map(({ language, file, text }, i) => {
      if (language === 'sh') return text
      writeFileSync(join(root, `block-${i}`), text)
      return `cp ${join(root, `block-${i}`)} ${file}`
    })
    const out = execFileSync('bash', ['-euo', 'pipefail', '-c', script.join('\n')], {
      cwd: dir,
      encoding: 'utf8',
      env: { ...process.env, PATH: `${commandFolder()}:${process.env.PATH}` },
    })
    const accuracy = (pattern: RegExp) => Number(pattern.exec(out)?.[1])
    expect(accuracy(/teacher is right on ([\d.]+)%/)).toBeGreaterThan(90)
    expect(out).toMatch(/no-threes: sound: 1,165 rows/)
    expect(accuracy(/^accuracy ([\d.]+)%/m)).toBeGreaterThan(85)
    expect(accuracy(/never seen: ([\d.]+)%/)).toBeGreaterThan(30)

    const { students } = JSON.parse(readFileSync(join(dir, 'sweep/sweep.json'), 'utf8')) as {
      students: { method: string; temperature: number; metrics: { accuracy: number } }[]
    }
    const mean = (chosen: typeof students) => chosen.reduce((sum, one) => sum + one.metrics.accuracy, 0) / chosen.length
    const control = mean(students.filter(({ method }) => method === 'ce'))
    const soft = mean(students.filter(({ method, temperature }) => method === 'kd' && temperature === 4))
    expect(soft - control).toBeGreaterThan(0.03) // the page says 0.067
  },
)
