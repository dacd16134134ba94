import { type PlotOptions, plot } from '@observablehq/plot'
import { useEffect, useId, useLayoutEffect, useRef, useState } from 'preact/hooks'

/** An element's width, as it changes. */
export function useWidth<E extends HTMLElement>() {
  const ref = useRef<E>(null)
  const [width, setWidth] = useState(0)
  useLayoutEffect(() => {
    const element = ref.current
    if (!element) return
    setWidth(Math.floor(element.clientWidth))
    const observer = new ResizeObserver(() => setWidth(Math.floor(element.clientWidth)))
    observer.observe(element)
    return () => observer.disconnect()
  }, [])
  return { ref, width }
}

/** A chart of Observable Plot that has its place before it is drawn, and its name and figures for who does not see it. */
export function Chart(props: { title: string; description: string; height?: number; options: PlotOptions }) {
  const { title, description, height = 230, options } = props
  const { ref, width } = useWidth<HTMLDivElement>()
  const id = useId()
  useEffect(() => {
    const box = ref.current
    if (!box || width === 0) return
    const drawn = plot({
      marginLeft: 46,
      marginRight: 14,
      marginTop: 22,
      marginBottom: 34,
      ...options,
      width,
      height,
      className: 'plot',
      style: { background: 'none', overflow: 'visible', ...(options.style as object) },
    })
    drawn.setAttribute('aria-hidden', 'true')
    box.replaceChildren(drawn)
  }, [ref, width, height, options])
  return (
    <div role="img" aria-label={title} aria-describedby={id}>
      <p id={id} class="unseen">
        {description}
      </p>
      <div ref={ref} class="chart" style={{ height: `${height}px` }} />
    </div>
  )
}
