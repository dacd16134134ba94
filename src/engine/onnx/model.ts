import type { ModelProto } from 'onnx-buf'
import { type Dimension, GraphBuilder } from '../../onnx/graph-builder.js'
import { encode } from './encode.js'
import type { Node, Type, Value } from './ir.js'
import { blockedDomain } from './passes/layout.js'
import type { Outputs } from './passes/rewrite.js'

export interface Named {
  name: string
  type: Type
}

/** A step before it is written as ONNX. */
export interface StepGraph {
  inputs: readonly Named[]
  /** Those that the step assigns have a value `next:name`. */
  variables: readonly Named[]
  outputs: readonly Named[]
  /** What the step gives: `output:name` and `next:name`. */
  values: Outputs
}

/** What things are called in a model, by their names in the step. */
interface Names {
  inputs: Map<string, string>
  variables: Map<string, string>
  outputs: Map<string, string>
  next: Map<string, string>
}

export interface WrittenModel extends Names {
  proto: ModelProto
}

const domains = { [blockedDomain]: 1 }

export function isAssigned(step: StepGraph, variable: Named): boolean {
  return `next:${variable.name}` in step.values
}

/** One step a call. */
export function writeStep(step: StepGraph): WrittenModel {
  const builder = new GraphBuilder()
  const variables = declare(builder, step.variables)
  const inputs = declare(builder, step.inputs)
  const given = writeValues(builder, step, { variables, inputs })
  return { proto: builder.model({ name: 'step', domains }), variables, inputs, ...given }
}

/**
 * As many steps a call as its inputs hold: the step is the body of a Scan whose states are the variables that it
 * assigns; inputs and outputs have a leading axis of steps. The body sees the variables that are only read where they
 * are, outside.
 */
export function writeScan(step: StepGraph): WrittenModel {
  const builder = new GraphBuilder()
  const variables = declare(builder, step.variables)
  const inputs = declare(builder, step.inputs, ['steps'])

  const states = step.variables.filter((variable) => isAssigned(step, variable))
  const body = new GraphBuilder({ prefix: 'step/' })
  const inner = new Map([...variables, ...declare(body, states)])
  writeValues(body, step, { variables: inner, inputs: declare(body, step.inputs) })

  const outputs = freshNames(builder, step.outputs, '')
  const next = freshNames(builder, states, '.next')
  const sources = [...states.map(({ name }) => variables.get(name)!), ...inputs.values()]
  const attributes = { body: { graph: body.graph('step') }, num_scan_inputs: step.inputs.length }
  builder.nodeOf('Scan', sources, attributes, { outputs: [...next.values(), ...outputs.values()] })
  for (const { name, type } of states) builder.output(next.get(name)!, type.dtype, type.shape)
  for (const { name, type } of step.outputs) {
    builder.output(outputs.get(name)!, type.dtype, ['steps', ...type.shape])
  }
  return { proto: builder.model({ name: 'steps', domains }), variables, inputs, outputs, next }
}

function freshNames(builder: GraphBuilder, values: readonly Named[], suffix: string): Map<string, string> {
  return new Map(values.map(({ name }) => [name, builder.fresh(name + suffix)]))
}

function declare(
  builder: GraphBuilder,
  values: readonly Named[],
  leading: readonly Dimension[] = [],
): Map<string, string> {
  const names = freshNames(builder, values, '')
  for (const { name, type } of values) builder.input(names.get(name)!, type.dtype, [...leading, ...type.shape])
  return names
}

/** Writes the step's nodes, and its outputs: the next values first, as a Scan wants it. */
function writeValues(
  builder: GraphBuilder,
  step: StepGraph,
  known: Pick<Names, 'variables' | 'inputs'>,
): Pick<Names, 'outputs' | 'next'> {
  const states = step.variables.filter((variable) => isAssigned(step, variable))
  const next = freshNames(builder, states, '.next')
  const outputs = freshNames(builder, step.outputs, '')
  const given = [
    ...states.map(({ name, type }) => ({ name: next.get(name)!, type, value: step.values[`next:${name}`]! })),
    ...step.outputs.map(({ name, type }) => ({
      name: outputs.get(name)!,
      type,
      value: step.values[`output:${name}`]!,
    })),
  ]
  // The first output that a computed value is lends it its name; any other is a copy.
  const preferred = new Map<Value, string>()
  for (const { name, value } of given) if (isComputed(value.node) && !preferred.has(value)) preferred.set(value, name)
  const outside = (node: Node) => {
    const name = String(node.attributes.name)
    return node.op === 'Variable' ? known.variables.get(name) : node.op === 'Input' ? known.inputs.get(name) : undefined
  }
  const names = encode(
    builder,
    given.map(({ value }) => value),
    outside,
    preferred,
  )
  for (const { name, type, value } of given) builder.output(name, type.dtype, type.shape, names.get(value)!)
  return { outputs, next }
}

function isComputed({ op }: Node): boolean {
  return !['Input', 'Variable', 'Constant'].includes(op)
}
