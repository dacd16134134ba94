import { LOOKS } from './charts/marks.js'

/** Okabe and Ito's colours (2008), darker on white and lighter on black so that lines keep a contrast of 3 to 1. */
const light = ['#0072b2', '#c2500a', '#00805e', '#a8508a', '#8a6a00', '#3f6fd1']
const dark = ['#56b4e9', '#ff8f57', '#2fcb9f', '#e39cc8', '#f0c44c', '#a5b8ff']

const colours = (list: readonly string[]) => list.map((colour, n) => `--s${n}:${colour};`).join('')
const looks = Array.from({ length: LOOKS }, (_, n) => `.s${n}{--c:var(--s${n})}`).join('')

/** The colours of the report and of the viewer's page, in light and dark. */
export const palette = `
:root{color-scheme:light dark;--page:#fff;--ink:#1b1f24;--soft:#57606a;--rule:#d0d7de;--panel:#f6f8fa;--grey:#6a737d;--heat:#0b5394;--on:#fff;--good:#116329;${colours(light)}}
@media (prefers-color-scheme:dark){:root{--page:#0f1318;--ink:#e6e9ed;--soft:#a0a9b4;--rule:#303842;--panel:#171c23;--grey:#9aa4af;--heat:#6cb6ff;--on:#0f1318;--good:#5fd38a;${colours(dark)}}}
`.trim()

export const style = `
${palette}
*{box-sizing:border-box}
html{-webkit-text-size-adjust:100%}
body{margin:0;background:var(--page);color:var(--ink);font:16px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif;overflow-wrap:break-word}
main{max-width:1280px;margin:0 auto;padding:28px 16px 48px}
h1{font-size:1.7rem;line-height:1.2;margin:0 0 .8rem;letter-spacing:-.01em}
h2{font-size:1.2rem;margin:2.6rem 0 .2rem}
h3{font-size:.95rem;margin:0 0 .2rem}
p{margin:.3rem 0 .8rem;max-width:72ch}
.lead{font-size:1.05rem}
.note,figcaption p,footer{color:var(--soft);font-size:.9rem}
.facts{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,145px),1fr));gap:10px;margin:1.2rem 0 0;padding:0}
.facts div{background:var(--panel);border:1px solid var(--rule);border-radius:10px;padding:10px 14px}
.facts dt{color:var(--soft);font-size:.82rem}
.facts dd{margin:0;font-weight:600;font-size:1.15rem;font-variant-numeric:tabular-nums}
.facts small{display:block;font-weight:400;font-size:.82rem;color:var(--soft)}
.charts{display:flex;flex-wrap:wrap;gap:16px}
.charts figure{flex:1 1 min(100%,320px);max-width:450px}
figure{margin:0;background:var(--panel);border:1px solid var(--rule);border-radius:10px;padding:12px 14px;min-width:0}
svg{display:block;width:100%;height:auto;overflow:visible}
.beside{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,320px),1fr));gap:16px;align-items:start}
.legend{list-style:none;display:flex;flex-wrap:wrap;gap:2px 14px;margin:6px 0 0;padding:0;font-size:.82rem;color:var(--soft)}
.legend li{display:flex;align-items:center;gap:6px}
.legend svg{width:24px;height:12px;flex:none}
.scroll{overflow-x:auto;border:1px solid var(--rule);border-radius:10px}
.scroll:focus-visible{outline:2px solid var(--s0);outline-offset:2px}
table{border-collapse:collapse;width:100%;font-size:.88rem;font-variant-numeric:tabular-nums}
caption{text-align:left;color:var(--soft);font-size:.9rem;padding:10px}
caption span{position:sticky;left:10px;display:inline-block;max-width:min(110ch,calc(100vw - 56px))}
th,td{padding:5px 8px;text-align:right;white-space:nowrap;border-top:1px solid var(--rule)}
th{font-weight:600}
thead th{color:var(--soft);font-size:.82rem;vertical-align:bottom}
th[scope=row],td.text,th.text{text-align:left}
tbody th[scope=row]{position:sticky;left:0;background:var(--page)}
tr.best td,tr.best th{font-weight:700}
tr.control td,tr.control th{color:var(--soft)}
td small{color:var(--soft);font-weight:400}
.gain{color:var(--good)}
.grid line{stroke:var(--rule);stroke-width:1}
svg text{font:11px system-ui,-apple-system,"Segoe UI",Roboto,sans-serif;fill:var(--soft)}
svg .label{fill:var(--ink)}
.ticks[font-size] text,.values[font-size] text{font-size:inherit}
.line{fill:none;stroke:var(--c);stroke-width:2;stroke-linejoin:round;stroke-linecap:round}
.mark{fill:var(--c);stroke:var(--panel);stroke-width:1}
.bar{fill:none;stroke:var(--c);stroke-width:1.4}
.band{fill:var(--c);opacity:.13}
.control{--c:var(--grey)}.teacher{--c:var(--ink)}${looks}
tr.control{--c:initial}
.diagonal{stroke:var(--grey);stroke-dasharray:2 4}
.span{stroke:var(--rule);stroke-width:3;stroke-linecap:round}
.heat rect{fill:var(--heat);stroke:var(--panel);stroke-width:.5}
.heat .own{fill:none;stroke:var(--rule)}
svg .values text{fill:var(--ink)}
svg .values .on{fill:var(--on)}
.pairs{margin:0;padding-left:1.4rem;font-size:.92rem}
.pairs li{margin:.15rem 0}
@media print{figure,.facts div{break-inside:avoid}}
`.trim()
