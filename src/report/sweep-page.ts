import { version } from '../version.js'
import { html, Markup } from './html.js'
import type { SweepFile } from './read-sweep.js'
import { costSection, facts, leadSection, tableSection } from './sections/figures.js'
import {
  classesSection,
  curvesSection,
  reliabilitySection,
  similaritySection,
  sizeSection,
  temperatureSection,
} from './sections/pictures.js'
import { style } from './style.js'
import { viewOf } from './view.js'

/**
 * What a sweep says as one HTML page: nothing is loaded, nothing runs in it, and its policy forbids both, so that no name in it can do
 * harm either.
 */
export function sweepPage(sweep: SweepFile): string {
  const view = viewOf(sweep)
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>Students of ${view.teacher.file}</title>
<style>${new Markup(style)}</style>
</head>
<body>
<main>
<h1>Students of ${view.teacher.file}</h1>
${leadSection(view)}
${facts(view)}
${tableSection(view)}
${temperatureSection(view)}
${sizeSection(view)}
${costSection(view)}
${curvesSection(view)}
${reliabilitySection(view)}
${classesSection(view)}
${similaritySection(view)}
<footer><p>Written by decant ${version}. Intervals: mean ± Student's t, 95 %, over the seeds.</p></footer>
</main>
</body>
</html>
`.text
}
