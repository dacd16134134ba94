import { type Content, html, type Markup } from '../html.js'
import type { Scale } from './scale.js'

/** Charts are this wide, about a phone's width, so that text has its size there; pages put several side by side. */
export const WIDTH = 340
export const HEIGHT = 230
export const MARGIN = { left: 44, right: 14, top: 12, bottom: 38 }
export const xRange = [MARGIN.left, WIDTH - MARGIN.right] as const
export const yRange = [HEIGHT - MARGIN.bottom, MARGIN.top] as const

/** A drawing with its name and description for who does not see it. `id` is unique in the page. */
export function drawing(options: {
  id: string
  title: string
  description: string
  width?: number
  height?: number
  content: Content
}): Markup {
  const { id, title, description, width = WIDTH, height = HEIGHT, content } = options
  return html`<svg role="img" aria-labelledby="${id}-title ${id}-desc" viewBox="0 0 ${width} ${height}" xmlns="http://www.w3.org/2000/svg">
<title id="${id}-title">${title}</title><desc id="${id}-desc">${description}</desc>
${content}
</svg>`
}

export interface Axis {
  scale: Scale
  label: string
  format(value: number): string
  /** Instead of the scale's own. */
  ticks?: number[]
}

/** Grid, ticks and names of both axes. */
export function axes({ x, y }: { x: Axis; y: Axis }): Markup {
  const [left, right] = xRange
  const [bottom, top] = yRange
  return html`<g class="grid">${(y.ticks ?? y.scale.ticks).map((tick) => html`<line x1="${left}" x2="${right}" y1="${px(y.scale(tick))}" y2="${px(y.scale(tick))}"/>`)}</g>
<g class="ticks">${(y.ticks ?? y.scale.ticks).map((tick) => html`<text x="${left - 6}" y="${px(y.scale(tick) + 3.5)}" text-anchor="end">${y.format(tick)}</text>`)}
${(x.ticks ?? x.scale.ticks).map((tick) => html`<text x="${px(x.scale(tick))}" y="${bottom + 15}" text-anchor="middle">${x.format(tick)}</text>`)}</g>
<text class="axis" x="${right}" y="${HEIGHT - 6}" text-anchor="end">${x.label}</text>
<text class="axis" x="${-top}" y="10" text-anchor="end" transform="rotate(-90)">${y.label}</text>`
}

/** Coordinates to a tenth of a pixel keep the page small. */
export const px = (value: number): number => Math.round(value * 10) / 10

export const path = (points: readonly (readonly [number, number])[]): string =>
  points.map(([x, y], i) => `${i === 0 ? 'M' : 'L'}${px(x)} ${px(y)}`).join('')
