import { fileURLToPath } from 'node:url'

/** Frames of tfjs, of JavaScript itself, of Node, and of this folder's code. */
const inner = /node_modules[\\/]@tensorflow|<anonymous>|\(native\)|\(?node:|[\\/]engine[\\/]onnx[\\/](?!.*\.test\.)/

/** `at file:line:column` of the user's code that is running; an error's own stack where one is given. */
export function userFrame(stack = new Error().stack): string {
  const frame = (stack ?? '')
    .split('\n')
    .slice(1)
    .find((line) => /^\s*at /.test(line) && !inner.test(line))
  const place = frame?.replace(/^\s*at /, '').trim()
  return place ? `at ${place.replace(/file:\/\/[^\s):]+/, (url) => fileURLToPath(url))}` : 'at an unknown place'
}
