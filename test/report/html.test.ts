import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { escapeText, html, shorten } from '../../src/report/html.js'

describe('html', () => {
  it('escapes what is put in, but not what it made itself', () => {
    expect(html`<p title="${'"a" & <b>'}">${html`<b>${'<i>'}</b>`}${[1, ' ', null, false, undefined]}</p>`.text).toBe(
      '<p title="&quot;a&quot; &amp; &lt;b&gt;"><b>&lt;i&gt;</b>1 </p>',
    )
  })

  it('leaves nothing of any text that could end an element, an attribute or a line', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        const escaped = escapeText(text)
        expect(escaped).not.toMatch(/[<>"'\p{Cc}\u202a-\u202e\u2066-\u2069]/u)
        expect(escaped).not.toMatch(/&(?!(amp|lt|gt|quot|#39);)/)
      }),
    )
  })
})

it('shorten counts characters, not their halves', () => {
  expect(shorten('👟👟👟👟', 3)).toBe('👟👟…')
  expect(shorten('boot', 4)).toBe('boot')
})
