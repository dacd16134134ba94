import { type Figures, TEMPERATURES } from './figures.js'

// plot.svg: what the card shows of the targets. Numbers and words of ours only, so nothing needs to be escaped, and coordinates to a
// tenth of a pixel, so that equal datasets have equal files.

const PANEL = { width: 340, height: 240, left: 48, right: 14, top: 30, bottom: 40 }

/** Entropy by temperature and, where there are labels, accuracy by confidence. */
export function drawPlot(figures: Figures, classes: number): string {
  const panels = [entropyPanel(figures, classes), ...(figures.teacher ? [reliabilityPanel(figures.teacher)] : [])]
  const width = panels.length * PANEL.width
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${PANEL.height}" width="${width}" height="${PANEL.height}" role="img" font-family="system-ui, sans-serif" font-size="11" fill="#333">
<title>${describePlot(figures)}</title>
<rect width="${width}" height="${PANEL.height}" fill="#fff"/>
${panels.map((panel, i) => `<g transform="translate(${i * PANEL.width})">${panel}</g>`).join('\n')}
</svg>
`
}

/** In words, for who does not see it. */
export function describePlot({ entropy, teacher }: Figures): string {
  const at = entropy.map((value, i) => `${value.toFixed(2)} at T=${TEMPERATURES[i]}`)
  const right = teacher ? `; accuracy ${percent(teacher.accuracy)} by confidence` : ''
  return `Mean entropy of the soft targets in nats: ${at.join(', ')}${right}`
}

export const percent = (share: number): string => `${(share * 100).toFixed(1)} %`

const px = (value: number) => Math.round(value * 10) / 10
type Scale = (value: number) => number
const scale =
  (from: number, to: number, [a, b]: [number, number]): Scale =>
  (value) =>
    px(a + ((value - from) / (to - from)) * (b - a))
const across = (from: number, to: number) => scale(from, to, [PANEL.left, PANEL.width - PANEL.right])
const up = (from: number, to: number) => scale(from, to, [PANEL.height - PANEL.bottom, PANEL.top])

function entropyPanel({ entropy }: Figures, classes: number): string {
  const most = Math.max(Math.log(classes), 1e-3)
  const x = across(-1, 4)
  const y = up(0, most)
  const points = entropy.map((value, i) => [x(Math.log2(TEMPERATURES[i]!)), y(value)] as const)
  return [
    title('Entropy by temperature'),
    axes({
      x: TEMPERATURES.map((t) => [x(Math.log2(t)), String(t)]),
      y: [0, 0.25, 0.5, 0.75, 1].map((share) => [y(share * most), (share * most).toFixed(2)]),
      names: ['temperature T', `nats, at most log ${classes}`],
    }),
    line(points),
    ...points.map(([cx, cy]) => `<circle cx="${cx}" cy="${cy}" r="3.5" fill="#0072b2"/>`),
  ].join('\n')
}

function reliabilityPanel({ bins, labelled }: NonNullable<Figures['teacher']>): string {
  const x = across(0, 1)
  const y = up(0, 1)
  const ticks = [0, 0.25, 0.5, 0.75, 1]
  return [
    title('Teacher: accuracy by confidence'),
    axes({
      x: ticks.map((share) => [x(share), String(share)]),
      y: ticks.map((share) => [y(share), String(share)]),
      names: ['confidence, T = 1', 'accuracy'],
    }),
    `<line x1="${x(0)}" y1="${y(0)}" x2="${x(1)}" y2="${y(1)}" stroke="#999" stroke-dasharray="4 3"/>`,
    line(bins.map(({ confidence, accuracy }) => [x(confidence), y(accuracy)])),
    // a mark's area is the bin's share of the rows
    ...bins.map(
      ({ rows, confidence, accuracy }) =>
        `<circle cx="${x(confidence)}" cy="${y(accuracy)}" r="${px(2 + 7 * Math.sqrt(rows / labelled))}" fill="#0072b2" fill-opacity="0.6"/>`,
    ),
  ].join('\n')
}

type Tick = [at: number, text: string]

function axes({ x, y, names }: { x: Tick[]; y: Tick[]; names: [string, string] }): string {
  const [left, right] = [PANEL.left, PANEL.width - PANEL.right]
  const bottom = PANEL.height - PANEL.bottom
  return [
    ...y.map(([at]) => `<line x1="${left}" x2="${right}" y1="${at}" y2="${at}" stroke="#ddd"/>`),
    ...y.map(([at, text]) => `<text x="${left - 6}" y="${px(at + 4)}" text-anchor="end">${text}</text>`),
    ...x.map(([at, text]) => `<text x="${at}" y="${bottom + 15}" text-anchor="middle">${text}</text>`),
    `<text x="${right}" y="${PANEL.height - 8}" text-anchor="end">${names[0]}</text>`,
    `<text x="${-PANEL.top}" y="11" text-anchor="end" transform="rotate(-90)">${names[1]}</text>`,
  ].join('\n')
}

const title = (text: string) => `<text x="${PANEL.left}" y="18" font-size="13" font-weight="600">${text}</text>`

const line = (points: readonly (readonly [number, number])[]) =>
  `<path d="${points.map(([x, y], i) => `${i === 0 ? 'M' : 'L'}${x} ${y}`).join('')}" fill="none" stroke="#0072b2" stroke-width="1.5"/>`
