import { random } from '../../src/random.js'
import type { SweepFile } from '../../src/report/read-sweep.js'
import type { SweepStudent } from '../../src/student/index.js'
import { createMeasure } from '../../src/student/metrics.js'

/** What a class may be called that somebody else named. */
export const hostile = '<script>alert(1)</script>"\'><img src=x onerror=alert(2)>\u202e&amp;'

export const CLASSES = 7
const names = [
  'coat',
  hostile,
  'a very long name that no chart has room for, however wide it is',
  'bag',
  'boot',
  '靴',
  'shirt',
]

/** Metrics of random logits in which the label stands out by `gap`. */
function metricsOf(gap: number, seed: number, labelled: boolean) {
  const { normal, below } = random('sweep-fixture', seed)
  const measured = createMeasure(CLASSES)
  const labels = Int32Array.from({ length: 400 }, () => below(CLASSES))
  const draw = (gap: number) =>
    Float32Array.from(
      { length: 400 * CLASSES },
      (_, i) => 2 * normal() + (i % CLASSES === labels[Math.floor(i / CLASSES)] ? gap : 0),
    )
  measured.add({ student: draw(gap), teacher: draw(6), labels: labelled ? labels : labels.map(() => -1) })
  return measured.result()
}

/** A sweep of two kinds of student with two methods at three temperatures, three seeds each, and their controls. */
export function makeSweep({ labelled = true, held = false, seeds = [1, 2, 3] } = {}): SweepFile {
  const students: SweepStudent[] = []
  const add = (student: string, method: string, temperature: number, gap: number) => {
    for (const seed of seeds) {
      students.push({
        student,
        method,
        temperature,
        alpha: method === 'ce' ? 0 : 0.9,
        parameters: method === 'dkd' ? { nckd: 8 } : {},
        seed,
        metrics: metricsOf(gap, seed, labelled),
        history: [1, 2, 3, 4].map((epoch) => ({
          epoch,
          loss: 1 / epoch,
          ...(held && { accuracy: labelled ? 0.5 + epoch / 20 : null, agreement: 0.4 + epoch / 20 }),
        })),
        seconds: 1.5,
      })
    }
  }
  for (const [student, gap] of [
    ['mlp:64', 3],
    ['cnn:8,16', 4],
  ] as const) {
    if (labelled) add(student, 'ce', 1, gap)
    for (const temperature of [1, 4, 20]) add(student, 'kd', temperature, gap + 0.3)
    for (const temperature of [1, 4, 20]) add(student, 'dkd', temperature, gap + 0.1)
  }
  const model = (name: string, size: number) => ({
    name,
    parameters: size,
    multiplyAdds: size * 10,
    bytes: size * 4,
    milliseconds: [0.05, null],
  })
  const { agreement, kl, ...teacherMetrics } = metricsOf(6, 9, labelled)
  return {
    students,
    data: {
      rows: 12_000,
      classes: CLASSES,
      names,
      measuredOn: 'evaluation',
      teacher: { file: `${hostile}.onnx`, metrics: teacherMetrics },
      similarity: {
        temperature: 4,
        rows: 12_000,
        classes: names.map((_, c) => c),
        means: names.map((_, i) => names.map((_, j) => (i === j ? 0.6 : 0.01 * (1 + ((i + j) % 5))))),
      },
    },
    costs: {
      provider: 'cpu',
      threads: 1,
      processor: 'a <processor>',
      batches: [1, 32],
      models: [
        { ...model('teacher', 1_200_000), milliseconds: [1.4, 40] },
        model('mlp:64', 50_890),
        model('cnn:8,16', 15_770),
      ],
    },
    seconds: 62,
  }
}
