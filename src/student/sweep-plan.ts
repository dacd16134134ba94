import { createHash } from 'node:crypto'
import { DecantError } from '../errors.js'
import { completeConfig, defaults, type StudentConfig } from './config.js'
import { findMethod, type Method } from './method.js'
import { isPath } from './module.js'
import { CONTROL, isControl } from './sweep-table.js'

/** Every combination is trained, less those that cannot differ. */
export interface Grid {
  student?: string[]
  method?: string[]
  temperature?: number[]
  alpha?: number[]
  /** Values of methods' own parameters; each is an axis of the methods that have it. */
  parameters?: Record<string, number[]>
  seed?: number[]
}

export interface PlannedStudent {
  /** A folder's name, one for each student of a sweep: `mlp-128-kd-T4-a0.9-s1`. */
  name: string
  config: StudentConfig
}

/** A method with the axes that it has. */
interface Axes {
  method: Method
  temperature: (number | undefined)[]
  alpha: (number | undefined)[]
  parameters: Record<string, number>[]
}

/**
 * The students of a grid, in its order with the control first. A method is varied in what it has: one without temperature or alpha has
 * no axis of it. alpha = 0 is the cross-entropy on the labels whatever the method: the one control, written as ce.
 * @throws DecantError where a parameter belongs to no method of the grid
 */
export async function planSweep(
  grid: Grid,
  base: Partial<StudentConfig>,
  options: { evaluated: boolean },
): Promise<PlannedStudent[]> {
  const plan = new Map<string, PlannedStudent>()
  const methods = await Promise.all((grid.method ?? [base.method ?? defaults.method]).map(findMethod))
  checkNames(grid.parameters ?? {}, methods)
  const axes = methods.map((method) => axesOf(method, grid, base))
  for (const student of grid.student ?? [base.student ?? defaults.student])
    for (const { method, ...axis } of axes)
      for (const temperature of axis.temperature)
        for (const alpha of axis.alpha)
          for (const parameters of axis.parameters)
            for (const seed of grid.seed ?? [base.seed ?? defaults.seed]) {
              const point = alpha === 0 ? control : { method: method.name, temperature, alpha, parameters }
              const found = alpha === 0 ? undefined : method
              const config = await completeConfig({ ...base, student, seed, ...point }, { ...options, method: found })
              const name = nameOf(config, alpha === 0 ? {} : method.parameters)
              plan.set(name, { name, config })
            }
  const students = [...plan.values()]
  return [...students.filter(({ config }) => isControl(config)), ...students.filter(({ config }) => !isControl(config))]
}

const control = { method: CONTROL, temperature: undefined, alpha: undefined, parameters: {} }

function axesOf(method: Method, grid: Grid, base: Partial<StudentConfig>): Axes {
  const has = method.parameters
  const own = Object.entries({ ...base.parameters, ...grid.parameters }).filter(([name]) => name in has)
  let parameters: Record<string, number>[] = [{}]
  for (const [name, values] of own)
    parameters = parameters.flatMap((before) => [values].flat().map((value) => ({ ...before, [name]: value })))
  return {
    method,
    temperature: 'temperature' in has ? (grid.temperature ?? [base.temperature]) : [undefined],
    alpha: 'alpha' in has ? (grid.alpha ?? [base.alpha]) : [undefined],
    parameters,
  }
}

function checkNames(parameters: Record<string, number[]>, methods: Method[]): void {
  for (const name in parameters) {
    if (methods.some((method) => name in method.parameters)) continue
    throw new DecantError(
      `parameter '${name}': no method of the grid has it (${methods.map(({ name }) => name).join(', ')})`,
    )
  }
}

/** Parameters are in the name where they are not the method's usual ones. */
function nameOf(config: StudentConfig, usual: Method['parameters']): string {
  const { student, method, temperature, alpha, parameters, seed } = config
  const parts = [slug(student), slug(method)]
  if ('temperature' in usual) parts.push(`T${temperature}`)
  if ('alpha' in usual) parts.push(`a${alpha}`)
  for (const [name, value] of Object.entries(parameters)) if (value !== usual[name]) parts.push(`${name}${value}`)
  return [...parts, `s${seed}`].join('-')
}

function slug(specification: string): string {
  const slug = specification.replace(/[^A-Za-z0-9]+/g, '-').replace(/^-/, '')
  // Two paths may have the same slug.
  return isPath(specification)
    ? `${slug}-${createHash('sha256').update(specification).digest('hex').slice(0, 6)}`
    : slug
}
