import { useEffect, useId, useMemo, useRef, useState } from 'preact/hooks'
import type { Similarity } from '../means.js'
import { useWidth } from './chart.js'
import type { Cell } from './classes.js'
import { count, probability } from './format.js'
import { go, link } from './route.js'

const LABEL = 92
const MOST_SIDE = 640
/** Few classes make a small map. */
const MOST_CELL = 96
/** Names are written where their lines are this high. */
const READABLE = 12
/** Below this a cell has no gap around it. */
const GAP_FROM = 8

interface Props {
  classes: Similarity
  names: string[]
  cell: Cell | null
  labelled: boolean
  change: (cell: Cell | null) => void
}

/** The matrix of means as colours, on a canvas, so that a thousand classes are no million elements. */
export function HeatMap({ classes, names, cell, labelled, change }: Props) {
  const { ref, width } = useWidth<HTMLDivElement>()
  const canvas = useRef<HTMLCanvasElement>(null)
  const help = useId()
  const scheme = useScheme()
  const n = classes.classes.length
  const widest = Math.min(MOST_SIDE, n * MOST_CELL)
  const named = (Math.min(width - LABEL, widest) || 0) / n >= READABLE
  const left = named ? LABEL : 0
  const side = Math.max(0, Math.min(width - left, widest))
  const size = side / n
  const most = useMemo(() => largestOff(classes), [classes])

  useEffect(() => {
    if (canvas.current && side > 0) draw(canvas.current, { classes, side, most })
  }, [classes, side, most, scheme])

  const nameOf = (place: number) => names[classes.classes[classes.order[place]!]!]!
  const pointed = (event: MouseEvent & { currentTarget: HTMLElement }): Cell => {
    const box = event.currentTarget.getBoundingClientRect()
    const at = (v: number) => Math.min(n - 1, Math.max(0, Math.floor(v / size)))
    return { from: at(event.clientY - box.top), to: at(event.clientX - box.left) }
  }
  const press = (event: KeyboardEvent) => {
    if (event.altKey || event.ctrlKey || event.metaKey) return
    const { from, to } = cell ?? { from: 0, to: 0 }
    const moves: Record<string, Cell> = {
      ArrowUp: { from: from - 1, to },
      ArrowDown: { from: from + 1, to },
      ArrowLeft: { from, to: to - 1 },
      ArrowRight: { from, to: to + 1 },
      Home: { from, to: 0 },
      End: { from, to: n - 1 },
      PageUp: { from: from - 10, to },
      PageDown: { from: from + 10, to },
    }
    const next = moves[event.key]
    if (next) change({ from: Math.min(n - 1, Math.max(0, next.from)), to: Math.min(n - 1, Math.max(0, next.to)) })
    else if (event.key === 'Enter' && cell) open(cell)
    else return
    event.preventDefault()
  }
  const open = (cell: Cell) => go(samplesOf(cell, classes, labelled))
  return (
    <div ref={ref} class="map" style={{ minHeight: `${Math.min(width || 320, widest)}px` }}>
      {side > 0 && (
        <>
          {named && (
            <svg class="map-names" aria-hidden="true" width={left + side} height={LABEL + side}>
              {classes.order.map((_, place) => (
                <g key={place} class={cell?.from === place || cell?.to === place ? 'lit' : ''}>
                  <text x={left - 6} y={LABEL + (place + 0.5) * size + 4} text-anchor="end">
                    {shorten(nameOf(place))}
                  </text>
                  <text transform={`translate(${left + (place + 0.5) * size + 4},${LABEL - 6}) rotate(-90)`}>
                    {shorten(nameOf(place))}
                  </text>
                </g>
              ))}
            </svg>
          )}
          <div
            class="map-cells"
            role="application"
            aria-roledescription="similarity map"
            aria-label={`Similarity of ${count(n)} classes`}
            aria-describedby={help}
            // biome-ignore lint/a11y/noNoninteractiveTabindex: it takes the arrow keys
            tabIndex={0}
            style={{ left: `${left}px`, top: `${named ? LABEL : 0}px`, width: `${side}px`, height: `${side}px` }}
            onPointerMove={(event) => change(pointed(event))}
            onPointerDown={(event) => change(pointed(event))}
            // A finger points by its first touch: its way on is the link above.
            onClick={(event) => (event as unknown as PointerEvent).pointerType === 'mouse' && open(pointed(event))}
            onKeyDown={press}
            onFocus={() => cell ?? change({ from: 0, to: Math.min(1, n - 1) })}
          >
            <canvas ref={canvas} style={{ width: `${side}px`, height: `${side}px` }} />
            {cell && (
              <span
                class="cursor"
                style={{
                  left: `${cell.to * size}px`,
                  top: `${cell.from * size}px`,
                  width: `${size}px`,
                  height: `${size}px`,
                }}
              />
            )}
          </div>
          <div style={{ height: `${(named ? LABEL : 0) + side}px` }} />
          <p class="scale" style={{ marginLeft: `${left}px` }}>
            <span>0</span>
            <span class="ramp" />
            <span>{probability(most)}</span>
            <span id={help} class="note">
              Rows: a sample's class; columns: what it gives to. A click, or Enter, opens the samples.
            </span>
          </p>
        </>
      )}
    </div>
  )
}

/** Those of one class that the teacher takes for the other. */
export function samplesOf({ from, to }: Cell, { classes, order }: Similarity, labelled: boolean): string {
  const [own, other] = [from, to].map((place) => classes[order[place]!]!) as [number, number]
  return link('samples', labelled ? { label: own, predicted: other } : { predicted: own })
}

const shorten = (name: string) => (name.length > 14 ? `${name.slice(0, 13)}…` : name)

/** The largest mean that a class gives to another: what the darkest colour stands for. */
function largestOff({ classes, mean }: Similarity): number {
  const n = classes.length
  let most = 0
  for (let i = 0; i < n; i++) for (let j = 0; j < n; j++) if (i !== j) most = Math.max(most, mean[i * n + j]!)
  return most || 1
}

function draw(canvas: HTMLCanvasElement, options: { classes: Similarity; side: number; most: number }) {
  const { classes, side, most } = options
  const { order, mean } = classes
  const n = order.length
  const dots = Math.round(side * (devicePixelRatio || 1))
  canvas.width = dots
  canvas.height = dots
  const pen = canvas.getContext('2d')!
  const style = getComputedStyle(canvas)
  const colour = (name: string) => parseColour(style.getPropertyValue(name))
  const [paper, ink, own] = [colour('--panel'), colour('--heat'), colour('--rule')]
  const image = new ImageData(n, n)
  for (let i = 0; i < n; i++) {
    for (let j = 0; j < n; j++) {
      // By the square root, so that what is a tenth of the largest is still seen.
      const share = Math.sqrt(Math.min(1, mean[order[i]! * n + order[j]!]! / most))
      for (let k = 0; k < 3; k++) {
        image.data[(i * n + j) * 4 + k] = i === j ? own[k]! : paper[k]! + (ink[k]! - paper[k]!) * share
      }
      image.data[(i * n + j) * 4 + 3] = 255
    }
  }
  const small = new OffscreenCanvas(n, n)
  small.getContext('2d')!.putImageData(image, 0, 0)
  pen.imageSmoothingEnabled = dots < n
  pen.drawImage(small, 0, 0, dots, dots)
  if (side / n < GAP_FROM) return
  pen.fillStyle = style.getPropertyValue('--page')
  const gap = Math.max(1, Math.round(devicePixelRatio || 1))
  for (let i = 1; i < n; i++) {
    const at = Math.round((i * dots) / n - gap / 2)
    pen.fillRect(at, 0, gap, dots)
    pen.fillRect(0, at, dots, gap)
  }
}

function parseColour(text: string): [number, number, number] {
  const hex = text.trim().slice(1)
  const wide = hex.length === 3 ? [...hex].map((digit) => digit + digit).join('') : hex
  return [0, 2, 4].map((at) => Number.parseInt(wide.slice(at, at + 2), 16)) as [number, number, number]
}

/** Changes when the reader goes from light to dark. */
function useScheme(): boolean {
  const query = useMemo(() => matchMedia('(prefers-color-scheme: dark)'), [])
  const [dark, setDark] = useState(query.matches)
  useEffect(() => {
    const change = () => setDark(query.matches)
    query.addEventListener('change', change)
    return () => query.removeEventListener('change', change)
  }, [query])
  return dark
}
