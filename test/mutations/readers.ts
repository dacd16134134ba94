import { rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { openTargets } from '../../src/cache/index.js'
import { type Engine, openEngine } from '../../src/engine/engine.js'
import { describeModel, readModel } from '../../src/onnx/index.js'
import { readSweep } from '../../src/report/read-sweep.js'
import { sweepPage } from '../../src/report/sweep-page.js'
import { openSource } from '../../src/source/index.js'
import type { OpenOptions } from '../../src/source/source.js'
import { type Dataset, loadDataset } from '../../src/student/dataset.js'
import { widthOf } from '../../src/student/inputs.js'
import { loadStudent } from '../../src/student/save.js'
import { trainOnDataset } from '../../src/student/train.js'
import { openStudent } from '../../src/viewer/student.js'
import { findBest, readStudents } from '../../src/viewer/students.js'

// What reads files of others: each of the functions that a reader gives takes the path of a file or folder, and is an error or not by itself.

export type Read = (path: string) => Promise<unknown>

/** What all of a source's rows are. */
const source =
  (options: OpenOptions): Read =>
  async (path) => {
    const source = await openSource(path, options)
    try {
      for await (const { rows, labels } of source.batches({ size: 3 }))
        if (labels.length !== rows) throw new Error(`${labels.length} labels of ${rows} rows`)
    } finally {
      await source.close()
    }
  }

/** The dataset beside a student's folder: see makeExample. */
async function datasetBeside(dir: string) {
  const targets = await openTargets(join(dirname(dir), 'targets'))
  const source = await openSource(join(dirname(dir), 'train-images-idx3-ubyte'))
  return loadDataset({ targets, source })
}

export const STUDENT = { student: 'linear', epochs: 2, batch: 8, seed: 1 } as const

/** Each as often as it is asked for; the dataset and the engine are the same for all. */
function student(): Record<string, Read> {
  let made: Promise<{ dataset: Dataset; engine: Engine }> | undefined
  const get = async (dir: string) => {
    made ??= Promise.all([datasetBeside(dir), openEngine('eager')]).then(([dataset, engine]) => ({ dataset, engine }))
    return made
  }
  return {
    train: async (dir) => {
      const { model } = await trainOnDataset({ ...STUDENT, ...(await get(dir)), out: dir })
      model.dispose()
    },
    load: async (dir) => (await loadStudent(dir)).dispose(),
    ask: async (dir) => {
      const { dataset } = await get(dir)
      const student = await openStudent(dir, dataset.classes)
      const read = async () => [(dataset.inputs as { values: Float32Array }).values.subarray(0, widthOf(dataset.input))]
      try {
        await student.ask({ read } as never, { chunk: undefined as never, rows: [0] })
      } finally {
        await student.close()
      }
    },
    model: async (dir) => describeModel(await readModel(join(dir, 'student.onnx'))),
    view: (dir) => readStudents({ dir, kind: 'student' }),
  }
}

const sweep: Record<string, Read> = {
  report: async (dir) => sweepPage(await readSweep(dir)),
  view: (dir) => readStudents({ dir, kind: 'sweep' }),
  best: (dir) => findBest({ dir, kind: 'sweep' }),
  // one that has not ended
  live: async (dir) => {
    await rm(join(dir, 'sweep.json'))
    return readStudents({ dir, kind: 'sweep' })
  },
}

export const readers = {
  source: (options: OpenOptions): Record<string, Read> => ({ rows: source(options) }),
  student: (): Record<string, Read> => student(),
  checkpoint: (): Record<string, Read> => {
    const { train, view } = student()
    return { view: view!, train: train! }
  },
  sweep: (): Record<string, Read> => sweep,
}
