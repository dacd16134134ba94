import { fileURLToPath } from 'node:url'

/** Frames of tfjs, as it is built and as its source maps name it. */
const tfjs = /node_modules[\\/]@tensorflow|\btfjs-(?:core|layers|backend-\w+)[\\/]src[\\/]/
/** Frames of JavaScript itself, and of Node. */
const native = /<anonymous>|\(native\)|\(?node:/
/** The folder of decant's own code. */
const own = fileURLToPath(new URL('../', import.meta.url))

/** The frames of a stack that are files', innermost first, without those that only wait for it. */
const framesOf = (stack: string | undefined): string[] =>
  (stack ?? '')
    .split('\n')
    .filter((line) => /^\s*at (?!async )/.test(line) && !native.test(line))
    .map(readable)

/** `at function (file:line:column)` */
const readable = (frame: string) => frame.trim().replace(/file:\/\/[^\s):]+/, (url) => fileURLToPath(url))

/**
 * `at file:line:column` of the user's code that decant called, in a stack: the innermost. Undefined where there is none: whoever called decant is not
 * meant.
 */
export function userFrame(stack: string | undefined): string | undefined {
  const frames = framesOf(stack)
  const called = frames.slice(0, frames.findLastIndex((frame) => frame.includes(own)) + 1)
  return called.find((frame) => !tfjs.test(frame) && !frame.includes(own))
}

/**
 * Where something happens that has no place in a step: the user's line that is running, or else tfjs's layer, or else decant's line. Of an error's
 * own stack where one is given.
 */
export function placeOf(stack = new Error().stack): string {
  const layer = layerOf(stack)
  const inEngine = /[\\/]engine[\\/]/
  const outside = framesOf(stack).find((frame) => !tfjs.test(frame) && !inEngine.test(frame))
  return userFrame(stack) ?? (layer ? `in tfjs's layer ${layer}` : (outside ?? 'at an unknown place'))
}

/** The class of the layer of tfjs that a stack is in, the innermost. */
export const layerOf = (stack: string | undefined): string | undefined =>
  /^\s*at (\w+)\.(?:call|apply) \(.*\btfjs-layers\b/m.exec(stack ?? '')?.[1]

/** Whether it is tfjs that threw. */
export const isThrownByTfjs = (stack: string | undefined): boolean => tfjs.test(framesOf(stack)[0] ?? '')
