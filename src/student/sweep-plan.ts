import { createHash } from 'node:crypto'
import { completeConfig, type StudentConfig } from './config.js'
import { findMethod } from './method.js'

/** Every combination is trained, less those that cannot differ. */
export interface Grid {
  student?: string[]
  method?: string[]
  temperature?: number[]
  alpha?: number[]
  seed?: number[]
}

/**
 * The students of a grid, in its order with the control first. A method that never looks at the teacher has no temperature and no
 * alpha, and kd with α = 0 is ce: all of these are the one control, written as ce, T = 1, α = 0.
 */
export function planSweep(grid: Grid, base: Partial<StudentConfig>, options: { evaluated: boolean }): StudentConfig[] {
  const plan = new Map<string, StudentConfig>()
  const given = completeConfig(base, options)
  for (const student of grid.student ?? [given.student])
    for (const method of grid.method ?? [given.method])
      for (const temperature of grid.temperature ?? [given.temperature])
        for (const alpha of grid.alpha ?? [given.alpha])
          for (const seed of grid.seed ?? [given.seed]) {
            const control = !findMethod(method).needs.teacher || (method === 'kd' && alpha === 0)
            const point = control
              ? { method: method === 'kd' ? 'ce' : method, temperature: 1, alpha: 0 }
              : { method, temperature, alpha }
            const config = completeConfig({ ...given, student, seed, ...point }, options)
            plan.set(studentName(config), config)
          }
  const configs = [...plan.values()]
  return [...configs.filter(isControl), ...configs.filter((config) => !isControl(config))]
}

/** A student that never saw the teacher. */
export const isControl = (config: { method: string }): boolean => !findMethod(config.method).needs.teacher

/** A folder's name, one for each student of a sweep: `mlp-128-kd-T4-a0.9-s1`. */
export function studentName({ student, method, temperature, alpha, seed }: StudentConfig): string {
  const slug = student.replace(/[^A-Za-z0-9]+/g, '-').replace(/^-/, '')
  // Two paths may have the same slug.
  const mark = /^[./]|\.[cm]?[jt]s$/.test(student)
    ? `-${createHash('sha256').update(student).digest('hex').slice(0, 6)}`
    : ''
  const point = isControl({ method }) ? method : `${method}-T${temperature}-a${alpha}`
  return `${slug}${mark}-${point}-s${seed}`
}
