import { gzipSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { readBundle, writeAsOneFile } from '../../src/viewer/bundle.js'

describe("the viewer's page", () => {
  it('is less than 200 kB compressed, and loads nothing but its own script and style', async () => {
    const { html, js, css } = await readBundle()
    const size = [html, js, css].reduce((sum, text) => sum + gzipSync(text).length, 0)
    expect(size).toBeLessThan(200_000)
    const asked = [...html.matchAll(/\s(?:src|href)="([^"]*)"/g)].map((match) => match[1])
    expect(asked.sort()).toEqual(['data:,', 'page.css', 'page.js'])
    expect(css).not.toMatch(/url\(|@import/)
  })

  it('holds hostile answers as data when it is one file', () => {
    const bundle = {
      html: '<link rel="stylesheet" href="page.css"><div id="page"></div><script type="module" src="page.js"></script>',
      js: 'const a = "</script><!--$&"',
      css: 'a{content:"$1"}',
    }
    const answers = { '/api/what': { title: '</script><script>alert(1)</script><!-- $& $1' } }
    const text = writeAsOneFile(bundle, answers)
    expect(text.match(/<\/script>/g)).toHaveLength(2)
    expect(text).not.toContain('<!--')
    expect(text).toContain('content:"$1"')
    const data = /<script type="application\/json" id="data">(.*?)<\/script>/.exec(text)![1]!
    expect(JSON.parse(data)).toEqual(answers)
  })
})
