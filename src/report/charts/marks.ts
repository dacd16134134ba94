import { html, type Markup } from '../html.js'
import { path, px } from './frame.js'

/**
 * How a series looks: a colour that colour-blind readers can tell from the others (Okabe and Ito 2008), and a mark and dashes besides, so
 * that none is told by colour alone. Style sheets give the colours, `.s0`, `.s1`, … and `.control`, `.teacher`.
 */
export interface Look {
  name: string
  shape: number
  dashes: string
}

const DASHES = ['', '6 3', '2 2', '8 3 2 3', '4 2', '1 3']
export const LOOKS = DASHES.length

/** The n-th series; after the last they begin again. */
export const look = (n: number): Look => ({ name: `s${n % LOOKS}`, shape: n % LOOKS, dashes: DASHES[n % LOOKS]! })
export const controlLook: Look = { name: 'control', shape: 1, dashes: '3 3' }
export const teacherLook: Look = { name: 'teacher', shape: 3, dashes: '1 3' }

/** A mark at (x, y): circle, square, triangle, diamond, cross, upside-down triangle. `title` is shown when it is pointed at. */
export function mark(
  x: number,
  y: number,
  { look, size = 4, title }: { look: Look; size?: number; title?: string },
): Markup {
  const r = size
  const points: [number, number][][] = [
    [],
    [[-r, -r], [r, -r], [r, r], [-r, r]],
    [[0, -r * 1.2], [r * 1.15, r * 0.9], [-r * 1.15, r * 0.9]],
    [[0, -r * 1.35], [r * 1.35, 0], [0, r * 1.35], [-r * 1.35, 0]],
    [[-r, -r], [0, -r * 0.4], [r, -r], [r * 0.4, 0], [r, r], [0, r * 0.4], [-r, r], [-r * 0.4, 0]],
    [[0, r * 1.2], [r * 1.15, -r * 0.9], [-r * 1.15, -r * 0.9]],
  ] // biome-ignore format: one shape a line
  const shape = points[look.shape]!
  const tip = title !== undefined && html`<title>${title}</title>`
  return shape.length === 0
    ? html`<circle class="mark ${look.name}" cx="${px(x)}" cy="${px(y)}" r="${r}">${tip}</circle>`
    : html`<path class="mark ${look.name}" d="${path(shape.map(([dx, dy]) => [x + dx, y + dy]))}Z">${tip}</path>`
}

export function line(points: readonly (readonly [number, number])[], look: Look): Markup {
  return html`<path class="line ${look.name}" d="${path(points)}" stroke-dasharray="${look.dashes}"/>`
}

/** A vertical bar from one end of an interval to the other. */
export function errorBar(x: number, [from, to]: readonly [number, number], look: Look): Markup {
  return html`<path class="bar ${look.name}" d="M${px(x)} ${px(from)}V${px(to)}M${px(x - 3)} ${px(from)}h6M${px(x - 3)} ${px(to)}h6"/>`
}

export interface LegendEntry {
  look: Look
  text: string
  /** A line without marks. */
  lineOnly?: boolean
}

export function legend(entries: readonly LegendEntry[]): Markup {
  return html`<ul class="legend">${entries.map(
    ({ look, text, lineOnly }) =>
      html`<li><svg aria-hidden="true" viewBox="0 0 24 12" width="24" height="12">${line(
        [
          [0, 6],
          [24, 6],
        ],
        look,
      )}${!lineOnly && mark(12, 6, { look, size: 3.5 })}</svg> ${text}</li>`,
  )}</ul>`
}
