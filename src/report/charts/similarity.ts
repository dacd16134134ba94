import type { Similarity } from '../../student/index.js'
import { html, type Markup, shorten } from '../html.js'
import { drawing, px, WIDTH } from './frame.js'

const LEFT = 84
const TOP = 72

/** The mean soft targets, class by class: the darker, the more rows of the row's class give to the column's. The diagonal, which would outshine all, is left out. */
export function similarityChart(options: { id: string; similarity: Similarity; names: readonly string[] }): Markup {
  const { id, similarity, names } = options
  const { classes, means, temperature } = similarity
  const n = classes.length
  const side = (WIDTH - LEFT - 4) / n
  const most = Math.max(1e-12, ...means.flatMap((row, i) => row.filter((_, j) => i !== j)))
  const text = Math.min(10, Math.max(4, side * 0.8))
  const name = (i: number, length: number) => shorten(names[i]!, length)
  const percent = (share: number) => (share * 100).toFixed(share < 0.0995 ? 1 : 0)
  return drawing({
    id,
    title: `How alike the teacher finds the classes, at temperature ${temperature}`,
    description: `Mean soft target that samples of the row's class give to the column's class, for ${n} classes; the largest is ${percent(most)} %. The list beside names the pairs that are most alike.`,
    height: TOP + n * side + 4,
    content: html`<g class="ticks" font-size="${px(text)}">${classes.map((_, i) => {
      const middle = (i + 0.5) * side
      return html`<text x="${LEFT - 5}" y="${px(TOP + middle + text * 0.35)}" text-anchor="end">${name(i, 15)}</text>
<text transform="translate(${px(LEFT + middle + text * 0.3)} ${TOP - 5}) rotate(-60)">${name(i, 13)}</text>`
    })}</g>
<g class="heat">${means.map((row, i) =>
      row.map((share, j) =>
        i === j
          ? html`<rect class="own" x="${px(LEFT + j * side)}" y="${px(TOP + i * side)}" width="${px(side)}" height="${px(side)}"/>`
          : html`<rect x="${px(LEFT + j * side)}" y="${px(TOP + i * side)}" width="${px(side)}" height="${px(side)}" fill-opacity="${Math.sqrt(share / most).toFixed(2)}"><title>${name(i, 80)} → ${name(j, 80)}: ${percent(share)} %</title></rect>`,
      ),
    )}</g>
${
  side >= 20 &&
  html`<g class="values" font-size="${px(Math.min(9, side * 0.36))}">${means.map((row, i) =>
    row.map((share, j) =>
      i === j
        ? null
        : html`<text class="${share > most * 0.45 ? 'on' : ''}" x="${px(LEFT + (j + 0.5) * side)}" y="${px(TOP + (i + 0.5) * side + 3)}" text-anchor="middle">${percent(share)}</text>`,
    ),
  )}</g>`
}`,
  })
}
