import { DecantError } from '../errors.js'
import { findClassLabels, findLogits, readProto } from '../onnx/index.js'
import type { LabelClasses } from '../source/index.js'
import { labelClasses } from './match-classes.js'

/**
 * What stands in labels for each class of an ONNX classifier, as `openSource` takes it: `names` where its file names the classes by text,
 * `numbers` where by integers; undefined where it does not name them, as the files of PyTorch and Keras.
 *
 * @param options.output the logits output, where the model has several candidates
 * @throws DecantError: no such file; FormatError: not an ONNX model
 */
export async function readTeacherClasses(
  path: string,
  options: { output?: string } = {},
): Promise<LabelClasses | undefined> {
  const proto = await readProto(path)
  try {
    const { from } = findLogits({ proto, path }, { tokens: true, ...options })
    const labels = findClassLabels(proto.graph!, from)
    return labels && labelClasses(labels)
  } catch (error) {
    if (error instanceof DecantError) return undefined // no logits, or several: the export says so
    throw error
  }
}
