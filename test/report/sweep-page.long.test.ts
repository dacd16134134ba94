import { describe, expect, it } from 'vitest'
import { sweepPage } from '../../src/report/sweep-page.js'
import { tabulate } from '../../src/student/index.js'
import { makeSweep } from './sweep-fixture.js'

const count = (page: string, pattern: RegExp) => page.match(new RegExp(pattern, 'g'))?.length ?? 0

/** The first match and a little of what surrounds it, instead of a whole page in a failure's message. */
const find = (page: string, pattern: RegExp) =>
  new RegExp(`.{0,40}(${pattern.source}).{0,20}`, pattern.flags).exec(page)?.[0] ?? null
const noNumber = /NaN|Infinity|undefined|null/

describe('sweepPage', () => {
  const sweep = makeSweep()
  const page = sweepPage(sweep)

  it('has a row of the table for each point, with intervals', () => {
    const table = tabulate(sweep.students)
    const body = page.slice(page.indexOf('<tbody>'), page.indexOf('</tbody>'))
    expect(count(body, /<tr/)).toBe(table.length)
    for (const { measures } of table) {
      const { mean, half } = measures.accuracy!
      expect(body).toContain(`<td>${(mean * 100).toFixed(2)}<small> ± ${(half! * 100).toFixed(2)}</small></td>`)
    }
    expect(count(body, /<tr class="best"/)).toBe(2)
  })

  it('has every chart, each with a name and a description', () => {
    const ids = [...page.matchAll(/aria-labelledby="([\w-]+)-title \1-desc"/g)].map(([, id]) => id)
    const panels = ['temperature', 'curves', 'reliability', 'classes'].flatMap((name) => [`${name}-0`, `${name}-1`])
    expect([...ids].sort()).toEqual([...panels, 'similarity', 'size'].sort())
    for (const id of ids) {
      expect(page).toMatch(new RegExp(`<title id="${id}-title">[^<]+</title><desc id="${id}-desc">[^<]+</desc>`))
    }
  })

  it('takes hostile names as text and asks for nothing from elsewhere', () => {
    expect(page).toContain('&lt;script&gt;alert(1)')
    expect(find(page, /<script|<img|<link|<iframe|\u202e/)).toBeNull()
    expect(find(page, /<[^>]*\s(href|src|style|on\w+)=/)).toBeNull()
    expect(find(page.replaceAll('xmlns="http://www.w3.org/2000/svg"', ''), /https?:|url\(|@import/)).toBeNull()
    expect(page).toContain(`content="default-src 'none'; style-src 'unsafe-inline'"`)
  })

  it('writes no number that is none', () => {
    expect(find(page, noNumber)).toBeNull()
  })

  it('compares by agreement where there are no labels, and has no interval of one seed', () => {
    const unlabelled = sweepPage(makeSweep({ labelled: false, held: true, seeds: [1] }))
    expect(unlabelled).toContain('Agreement against temperature')
    expect(unlabelled).not.toContain('ECE %')
    expect(count(unlabelled, /<td>[^/]* ± /)).toBe(0)
    expect(find(unlabelled, noNumber)).toBeNull()
  })

  it('names modules by the ends of their paths, as much as tells them apart', () => {
    const given = makeSweep()
    const rename = (from: string, to: string) => (name: string) => (name === from ? to : name)
    const moved = {
      ...given,
      students: given.students.map((one) => ({
        ...one,
        student: rename(
          'cnn:8,16',
          '/home/somebody/b/net.ts',
        )(rename('mlp:64', '/home/somebody/a/net.ts')(one.student)),
        method: rename('dkd', '/home/somebody/secret/loss.ts')(one.method),
      })),
    }
    moved.students.push({
      ...{ ...moved.students[0]!, seed: 9, metrics: null, history: [] },
      failed: 'student /home/somebody/a/net.ts: the loss is NaN',
    })
    const shown = sweepPage(moved)
    for (const name of ['a/net.ts', 'b/net.ts', 'loss.ts nckd=8', 'student a/net.ts: the loss is NaN'].map(
      (n) => n.split(' nckd')[0]!,
    ))
      expect(shown).toContain(name)
    expect(find(shown, /somebody|secret/)).toBeNull()
  })

  it('draws methods without a temperature at none, and lines apart whose names begin alike', () => {
    const given = makeSweep()
    const long = 'a'.repeat(50)
    const add = (method: string, parameters: Record<string, number>) =>
      given.students
        .filter(({ method, student }) => method === 'ce' && student === 'mlp:64')
        .map((one) => ({ ...one, method, parameters, alpha: 1 }))
    const chart = (more: typeof given.students) => {
      const page = sweepPage({ ...given, students: [...given.students, ...more] })
      return page.slice(page.indexOf('"temperature-0-title'), page.indexOf('"temperature-1-title'))
    }
    expect(chart(add('ls', {}))).toBe(chart([]))
    const two = chart([...add('kd', { [`${long}1`]: 1 }), ...add('kd', { [`${long}2`]: 1 })])
    expect(count(two, /class="mark/) - count(chart([]), /class="mark/)).toBeGreaterThanOrEqual(2)
  })

  it('shows curves of held-out rows where there are some', () => {
    expect(sweepPage(makeSweep({ held: true }))).toContain('mlp:64: accuracy on held-out rows by epoch')
    expect(page).toContain('mlp:64: training loss by epoch')
  })

  it('says which students failed, and is whole where all did', () => {
    const students = sweep.students.map((student) => ({
      ...student,
      metrics: null,
      history: [],
      failed: 'the loss is <NaN>',
    }))
    const failed = sweepPage({ ...sweep, students, costs: null })
    expect(failed).toContain(`${students.length} of ${students.length} students failed`)
    expect(failed).toContain('the loss is &lt;NaN&gt;')
    expect(failed).toContain('No student was measured.')
  })
})
